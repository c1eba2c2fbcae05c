import pytest
from tests.stories.pages import WITHIN_S, run_page

pytest.importorskip("torch", reason="needs torch: pip install 'matinee[network]'")


@pytest.mark.timeout(WITHIN_S)
def test_every_command_of_the_page_runs(tmp_path):
    run_page("docs/scale.md", tmp_path)
