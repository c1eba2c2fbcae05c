import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
# What each example must print: a run that says nothing has shown nothing.
SAYS = {
    "quickstart.py": ["viewers", "Of 100", "names 5 of the same 5 items"],
    "tune_tabular.py": ["stopped early", "spent $"],
    "tune_text.py": ["spent $"],
    "newcomers.py": ["fallback:popular", "item_knn", "after 3 events"],
}


def test_every_example_is_listed():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("name", sorted(SAYS))
def test_the_example_runs(name, tmp_path):
    run = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    for words in SAYS[name]:
        assert words in run.stdout
