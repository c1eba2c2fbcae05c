import pytest
from tests.stories.pages import WITHIN_S, run_page


@pytest.mark.timeout(WITHIN_S)
def test_every_command_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    run_page("docs/tuning.md", tmp_path)
    assert (tmp_path / "study/log.jsonl").is_file()
    assert (tmp_path / "bundle/manifest.json").is_file()
    assert (tmp_path / "best/manifest.json").is_file()
    page = (tmp_path / "study.html").read_text(encoding="utf-8")
    assert "What mattered" in page
    assert page.count("<svg") >= 3
    assert "matinee tune" in (tmp_path / "again/README.md").read_text(encoding="utf-8")
