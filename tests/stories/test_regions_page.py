import pytest
from tests.stories.pages import WITHIN_S, run_page


@pytest.mark.long
@pytest.mark.timeout(WITHIN_S)
def test_every_command_of_the_page_runs(tmp_path):
    run_page("docs/regions.md", tmp_path)
