import re

import optuna
import pytest
from tests.stories.pages import ROOT, WITHIN_S, run_page


@pytest.mark.timeout(WITHIN_S)
def test_the_programs_of_the_page_run_and_find_what_it_says(tmp_path):
    page = (ROOT / "docs/optuna.md").read_text(encoding="utf-8")
    search, export = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "search.py").write_text(search)
    (tmp_path / "export.py").write_text(export)
    run_page("docs/optuna.md", tmp_path)
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    found = optuna.load_study(study_name="nights", storage=storage)
    assert found.best_params["width"] == 128
    assert found.best_value < 0.05
    assert len(optuna.load_study(study_name="days", storage=storage).trials) == 1
