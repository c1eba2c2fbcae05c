"""The folder from which a stranger runs a study again."""

import csv
import json
import re
import subprocess
import sys

import pytest
from tests.tune.test_optuna_export import SPACE, TRIALS

from matinee.core.errors import InputError, SpaceError
from matinee.core.space import Choice
from matinee.tune.repeat import Repeat, write_repeat
from matinee.tune.space_file import read_space

# A stranger's study: it reads the folder's space and says what it would search.
PROGRAM = "import matinee, sys; print(sys.argv[2], sorted(matinee.read_space(sys.argv[1])))"
FACTS = Repeat(
    name="nights",
    space=SPACE,
    trials=TRIALS,
    command=(sys.executable, "-c", PROGRAM, "space.toml", "a word, with 'quotes'"),
    versions={"numpy": "2.4.6", "matinee": "0.1.0", "torch": "2.13.0+cpu"},
    seed=7,
    log_sha256="ab12",
    best=1,
)


def test_the_command_of_the_page_runs_in_the_folder(tmp_path):
    write_repeat(tmp_path / "again", FACTS)
    page = (tmp_path / "again/README.md").read_text()
    install, command = re.findall(r"^\$ (.*)$", page, re.MULTILINE)
    assert install == "pip install -r versions.txt"
    said = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path / "again", check=True, capture_output=True, text=True
    )
    assert said.stdout == "a word, with 'quotes' ['decays', 'layers', 'momentum', 'rate']\n"
    assert "5 trials of 4 settings for 0.035 dollars. The best is trial 1, with a value of 0.5." in page
    assert "SHA-256 is ab12" in page
    assert "The seed is 7" in page
    assert "put yours" in page


def test_all_that_was_known_is_in_the_files(tmp_path):
    write_repeat(tmp_path, FACTS)
    assert read_space(tmp_path / "space.toml") == SPACE
    assert (tmp_path / "versions.txt").read_text() == "matinee==0.1.0\nnumpy==2.4.6\ntorch==2.13.0\n"
    told = json.loads((tmp_path / "study.json").read_text())
    assert told["best"] == {"number": 1, "value": 0.5, "settings": {**TRIALS[0].settings, "decays": [0.9]}}
    assert (told["seed"], told["log_sha256"], told["command"][-2]) == (7, "ab12", "space.toml")
    with (tmp_path / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["done", "stopped", "failed", "running", "waiting"]
    assert rows[1]["reason"] == "its curve promises less than the best"
    assert (rows[1]["settings.decays"], rows[1]["settings.momentum"]) == ("[0.6, 0.95]", "")
    assert rows[4]["settings.extra"] == "fixed"


def test_the_same_facts_make_the_same_files_and_no_other_is_touched(tmp_path):
    write_repeat(tmp_path, FACTS)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_repeat(tmp_path, FACTS)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(InputError, match=r"holds README\.md, which is not of this study: give a new folder"):
        write_repeat(tmp_path, FACTS)
    with pytest.raises(InputError, match="cannot be written"):
        write_repeat(tmp_path / "README.md", FACTS)
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_study_in_which_nothing_is_done_can_be_run_again_too(tmp_path):
    write_repeat(tmp_path, Repeat(name="new", space=SPACE, trials=(), command=("true",), versions={}, seed=0))
    assert (
        "0 trials of 4 settings for 0 dollars. None of them is done." in (tmp_path / "README.md").read_text()
    )
    assert json.loads((tmp_path / "study.json").read_text())["best"] is None


def test_a_space_that_no_file_can_hold_is_told_before_anything_is_written(tmp_path):
    facts = Repeat(
        name="a", space={"x": Choice((None, 1))}, trials=(), command=("true",), versions={}, seed=0
    )
    with pytest.raises(SpaceError, match="a space file knows no None"):
        write_repeat(tmp_path / "again", facts)
    assert not (tmp_path / "again").exists()
