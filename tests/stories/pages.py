"""Pages whose every command runs, in order, in a folder of its own.

A block fenced as `console` is a session: lines that start with `$ ` are run, the rest is what they print,
shortened. Folders of data that a page names (`ml-100k/`, `ml-1m/` ...) are found at $MATINEE_DATA or
../shared/data; a page that needs one is skipped where there is none, and says so. What a page leaves running
is ended with it, and the port that it names is replaced by one that is free here.
"""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("MATINEE_DATA", ROOT.parent / "shared" / "data"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Against hanging only: a busy machine takes many times what a quiet one does.
WITHIN_S = 3600
PORT = "8123"
_SESSION = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Set up and run by the reader's own machine, and by `.ci/run` before these very tests.
_LEFT_TO_CI = ("make ", "git clone", "pip install", "cd ")


def commands(page: Path) -> list[str]:
    """The command lines of a page, continuation lines joined."""
    found = []
    for block in _SESSION.findall(page.read_text(encoding="utf-8")):
        joined = re.sub(r"\\\n\s*", " ", block)
        found += [line[2:] for line in joined.splitlines() if line.startswith("$ ")]
    return [line for line in found if not line.startswith(_LEFT_TO_CI)]


def run_page(name: str, folder: Path) -> None:
    """Run every command of a page in a folder.

    Args:
        name: the page, from the project's root.
        folder: an empty folder.
    """
    lines = commands(ROOT / name)
    assert lines, f"{name} has no command"
    for data in _needed(lines):
        if not (DATA / data).is_dir():
            pytest.skip(f"{name} needs {data} in {DATA} or $MATINEE_DATA")
        (folder / data).symlink_to(DATA / data)
    port = str(_free_port())
    # It does nothing but lend its number to the group, so that whatever is left running can be ended.
    with subprocess.Popen(["sleep", "infinity"], process_group=0) as leader:
        try:
            for line in lines:
                _run(line.replace(PORT, port), folder, leader.pid)
        finally:
            os.killpg(leader.pid, signal.SIGKILL)


def _run(line: str, folder: Path, group: int) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MATINEE_CACHE": str(folder / "cache"),
    }
    # A file and no pipe: what goes on in the background may hold it open.
    with (folder / "said.txt").open("w+") as said:
        process = subprocess.Popen(
            ["bash", "-c", line],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            process_group=group,
        )
        try:
            status = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        said.seek(0)
        assert status == 0, f"{line}\n{said.read()[-4000:]}"


def _needed(lines: list[str]) -> set[str]:
    """The folders of data that the lines name."""
    return set(re.findall(r"\b(ml-100k|ml-latest-small|ml-1m|lastfm|amazon-beauty)/", " ".join(lines)))


def _free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])
