"""What the house promises of itself: light to import, quick to help, open about its doors."""

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.typed import typed
from tests.slowness import slowness

import matinee

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "ray", "boto3", "scipy", "pandas")


def cpu_seconds(arguments: list[str]) -> float:
    """User and system seconds of a command, as on a quiet core; the least of five runs."""
    best = float("inf")
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(arguments, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = min(best, spent / slowness())
    return best


def test_import_loads_nothing_heavy():
    code = "import sys, json, matinee; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not set(HEAVY) & set(json.loads(run.stdout))


@pytest.mark.parametrize("arguments", [["-c", "import matinee"], ["-m", "matinee", "--help"]])
def test_import_and_help_answer_within_three_tenths_of_a_second(arguments):
    assert cpu_seconds([sys.executable, *arguments]) < 0.3


def test_every_door_opens_and_no_other_is_listed():
    for name in matinee.__all__:
        assert getattr(matinee, name) is not None, name
    assert set(matinee.__all__) <= set(dir(matinee))
    with pytest.raises(AttributeError):
        _ = matinee.no_such_door


def test_every_command_has_help_with_an_example():
    from matinee.cli.app import COMMANDS

    for name in COMMANDS:
        run = typed(name, "--help", cwd=ROOT)
        assert run.returncode == 0
        assert re.search(r"Example:\s+matinee ", run.stdout), name


def test_files_and_folders_are_those_of_the_architecture_page():
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"│   [├└]── (\w+)/", page))
    there = {p.name for p in (ROOT / "src/matinee").iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert named == there


def test_no_source_file_is_longer_than_four_hundred_lines():
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in ("src", "benchmarks", "examples")
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not long
