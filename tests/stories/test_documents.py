"""Every command in the README and in docs/ runs, in order, in a folder of its own.

A block fenced as `console` is a session: lines that start with `$ ` are run, the rest is what they print,
shortened. Folders of data that a page names (`ml-100k/`, `ml-1m/` ...) are found at $MATINEE_DATA or
../shared/data; a page that needs one is skipped where there is none, and says so.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("MATINEE_DATA", ROOT.parent / "shared" / "data"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SESSION = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Set up and run by the reader's own machine, and by `.ci/run` before this very test.
LEFT_TO_CI = ("make ", "git clone", "pip install", "cd ")


def commands(page: Path) -> list[str]:
    """The command lines of a page, continuation lines joined."""
    found = []
    for block in SESSION.findall(page.read_text(encoding="utf-8")):
        joined = re.sub(r"\\\n\s*", " ", block)
        found += [line[2:] for line in joined.splitlines() if line.startswith("$ ")]
    return [line for line in found if not line.startswith(LEFT_TO_CI)]


def needed(lines: list[str]) -> set[str]:
    """The folders of data that the lines name."""
    return set(re.findall(r"\b(ml-100k|ml-latest-small|ml-1m|lastfm|amazon-beauty)/", " ".join(lines)))


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_of_the_page_runs(page, tmp_path):
    lines = commands(page)
    for folder in needed(lines):
        if not (DATA / folder).is_dir():
            pytest.skip(f"{page.name} needs {folder} in {DATA} or $MATINEE_DATA")
        (tmp_path / folder).symlink_to(DATA / folder)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MATINEE_CACHE": str(tmp_path / "cache"),
    }
    for line in lines:
        run = subprocess.run(
            ["bash", "-c", line],
            check=False,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=1200,
        )
        assert run.returncode == 0, f"{line}\n{run.stdout[-2000:]}\n{run.stderr[-2000:]}"


def test_the_pages_have_commands_at_all():
    assert len(commands(ROOT / "README.md")) >= 8


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target
