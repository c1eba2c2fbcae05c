import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.typed import typed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [
        f"v{v},f{(v + t) % 7},{1_700_000_000 + 1000 * t + v},{1 + t % 5}" for v in range(6) for t in range(5)
    ]
    (tmp_path / "log.csv").write_text("user,item,time,rating\n" + "\n".join(rows) + "\n")
    (tmp_path / "films.csv").write_text(
        'film_id,title,genres\nf0,"Café, the film",Drama|War\nf9,Unseen,Drama\n'
    )
    return tmp_path


def test_words_for_people_and_json_for_programs(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "matinee", "check", "log.csv", "--items", "films.csv", "--json", "-"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "6 viewers, 8 items, 30 events" in done.stderr
    assert "user is column 'user'" in done.stderr
    assert "Judged by time-split" in done.stderr
    assert "popularity" in done.stderr
    assert "and of what Python and torch take to start" in " ".join(done.stderr.split())
    report = json.loads(done.stdout)
    assert report["counts"]["items"] == 8
    assert report["default_protocol"] == "time-split"
    assert {one["name"] for one in report["protocols"]} >= {"time-split", "leave-one-out", "random-holdout"}
    assert {"memory_bytes", "cpu_s", "fits"} <= set(report["needs"][0])


def test_the_remedy_for_a_log_with_times_and_an_order_is_taken(folder: Path) -> None:
    rows = [f"v{v},f{(v + t) % 7},{1_700_000_000 + t},{t}" for v in range(6) for t in range(5)]
    (folder / "both.csv").write_text("user,item,time,order\n" + "\n".join(rows) + "\n")
    done = typed("check", "both.csv", "--columns", "order=order,time=", cwd=folder)
    assert done.returncode == 0
    assert "in the order of a column of positions, without times" in done.stdout


def test_quiet_prints_nothing_and_still_writes_the_json(folder: Path) -> None:
    done = typed("check", "log.csv", "--quiet", "--json", "report.json", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads((folder / "report.json").read_text())["counts"]["events"] == 30


def test_log_options_reach_the_log(folder: Path) -> None:
    (folder / "shop.toml").write_text('[log]\npositive = "rating>=3"\nitems = "films.csv"\n')
    done = typed("check", "log.csv", "--log-settings", "shop.toml", "--quiet", "--json", "-", cwd=folder)
    report = json.loads(done.stdout)
    assert report["counts"]["events"] == 18
    assert "12 events are not rating>=3" in " ".join(report["notes"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("missing.csv",), "missing.csv"),
        (("log.csv", "--positive", "rating>=9"), "No event is left"),
        (("log.csv", "--target", "purchase"), "no column of kinds"),
        (("log.csv", "--items", "log.csv", "--weight", "view"), "--weight: expected"),
        (("bad.csv",), "row 3, column 'time'"),
        (("empty.csv",), "empty.csv"),
    ],
)
def test_what_is_unusable_is_one_sentence_and_exit_status_2(
    folder: Path, words: tuple[str, ...], sentence: str
) -> None:
    (folder / "bad.csv").write_text("user,item,time\na,x,1700000000\na,y,soon\n")
    (folder / "empty.csv").write_text("")
    done = typed("check", *words, cwd=folder)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_ratings_to_be_predicted_are_for_those_that_predict_values(folder: Path) -> None:
    done = typed("check", "log.csv", "--target", "rating", "--json", "-", cwd=folder)
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert any(one["supported"] for one in report["protocols"])
    assert all(one["fits"] for one in report["needs"])
    told = {one["name"] for one in report["needs"]}
    assert told == {"rating", "rating_biases", "rating_factors", "rating_knn", "rating_mean"}


def test_a_fit_on_a_part_of_the_log_says_how_much_of_it(folder: Path) -> None:
    words = ("--recommender", "popularity", "--hold-out", "leave-one-out", "-o", "b")
    done = typed("fit", "log.csv", *words, cwd=folder)
    assert "24 events of the log's 30, 6 viewers, 7 items." in done.stdout


def test_one_of_a_thing_is_one(folder: Path) -> None:
    (folder / "one.csv").write_text("user,item,time\na,x,1700000000\n")
    said = typed("check", "one.csv", cwd=folder).stdout
    assert "CSV with a header, 1 row\n" in said
    assert "1 viewer, 1 item, 1 event\n" in said
