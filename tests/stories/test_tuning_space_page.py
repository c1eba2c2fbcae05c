import re

import pytest
from tests.stories.pages import ROOT, WITHIN_S, run_page

PAGE = ROOT / "docs/tuning-space.md"


@pytest.mark.timeout(WITHIN_S)
def test_the_file_and_the_program_of_the_page_say_the_same(tmp_path):
    page = PAGE.read_text(encoding="utf-8")
    ((toml,), (python,)) = (
        re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL) for kind in ("toml", "python")
    )
    (tmp_path / "space.toml").write_text(toml)
    (tmp_path / "look.py").write_text(python)
    run_page("docs/tuning-space.md", tmp_path)
