"""A machine that is lent for its GPU: torch, numpy, scipy, pyarrow, typer and rich, and nothing else.

There this library runs from its folder: it is not installed, so no metadata tells its version.
"""

import os
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="needs torch: pip install 'matinee[network]'")

# What these six bring along themselves is there too.
BARE = """
import sys
THERE = {
    "torch", "torchgen", "functorch", "numpy", "scipy", "pyarrow", "typer", "rich", "matinee",
    "click", "shellingham", "markdown_it", "mdurl", "pygments", "typing_extensions", "annotated_doc",
    "pydantic", "pydantic_core", "annotated_types", "typing_inspection",
    "sympy", "mpmath", "networkx", "filelock", "fsspec",
}

class Bare:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        there = top in THERE or top.startswith("_") or top in sys.stdlib_module_names
        return self.finder.find_spec(name, path, target) if there else None

sys.meta_path[:] = [Bare(finder) for finder in sys.meta_path]
"""
FIT = """
from matinee.cli import main
sys.argv = ["matinee", *sys.argv[1:]]
main()
"""
RESUMED = """
from pathlib import Path
import matinee
from matinee.core.errors import Stopped
from matinee.core.run import Run
from matinee.recommenders import make_recommender
log = matinee.read_log("made-up/log.parquet")
asked = iter([False] * 5 + [True] * 100)
settings = {"passes": 2, "width": 16}
try:
    run = Run(device="cpu", checkpoints=Path("kept"), should_stop=lambda: next(asked))
    make_recommender("sequential", settings).fit(log, run=run)
    raise SystemExit("it did not stop")
except Stopped as stopped:
    assert "was saved" in str(stopped), stopped
make_recommender("sequential", settings).fit(log, run=Run(device="cpu", checkpoints=Path("kept")))
for name in ("safetensors", "jinja2", "threadpoolctl"):
    assert name not in sys.modules
"""


def run(code, folder, *arguments, fails=False):
    done = subprocess.run(
        [sys.executable, "-c", BARE + code, *arguments],
        cwd=folder,
        env={**os.environ, "MATINEE_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) == fails, done.stderr[-4000:]
    return done


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bare")
    run(FIT, folder, "simulate", "made-up", "--viewers", "120", "--items", "60", "--events", "1400", "-q")
    return folder


def test_a_network_is_fitted_and_its_bundle_answers(bare):
    settings = ["--set", "passes=1", "--set", "width=16"]
    log = "made-up/log.parquet"
    run(FIT, bare, "fit", log, "-o", "bundle", "--recommender", "sequential", *settings, "-q")
    run(FIT, bare, "recommend", "bundle", "--all", "-k", "3", "-o", "lists.csv", "-q")
    lines = (bare / "lists.csv").read_text().splitlines()
    assert len(lines) > 3 * 100


def test_a_run_that_was_stopped_goes_on(bare):
    run(RESUMED, bare)


def test_a_report_says_what_it_needs(bare):
    arguments = [
        "compare",
        "made-up/log.parquet",
        "--recommenders",
        "popularity",
        "--html",
        "board.html",
        "-q",
    ]
    done = run(FIT, bare, *arguments, fails=True)
    assert done.returncode == 2
    assert not done.stdout
    assert "A report needs jinja2, found none: pip install jinja2, or ask for none." in done.stderr
