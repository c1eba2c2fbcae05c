"""Every page that has commands is run by a file of its own, so that long ones run beside each other."""

import re
from pathlib import Path

import pytest
from tests.stories.pages import PAGES, ROOT, commands


def test_every_page_with_commands_is_run():
    there = {str(page.relative_to(ROOT)) for page in PAGES if commands(page)}
    runs = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*_page.py")]
    assert there == {name for code in runs for name in re.findall(r'run_page\("([^"]+)"', code)}


def test_the_pages_have_commands_at_all():
    assert len(commands(ROOT / "README.md")) >= 8


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target
