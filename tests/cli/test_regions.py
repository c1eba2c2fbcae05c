"""Fit, compare, recommend and similar by region, as a person types them."""

import csv
import json

import pytest
from tests.recipes.two_ways import two_ways
from typer.testing import CliRunner

from matinee.cli.app import app
from matinee.core.errors import InputError


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The files of a log whose regions go two ways, and a bundle by region."""
    folder, log = tmp_path_factory.mktemp("regions"), two_ways()
    histories = log.histories
    with (folder / "log.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["user_id", "item_id", "timestamp"])
        for viewer, item, time in zip(histories.rows(), histories.items, histories.times, strict=True):
            rows.writerow([f"v{viewer}", f"i{item}", 1_600_000_000_000 + int(time)])
    with (folder / "viewers.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["user_id", "country"])
        rows.writerows(
            zip(log.viewer_table["id"].to_pylist(), log.viewer_table["region"].to_pylist(), strict=True)
        )
    (folder / "said.txt").write_text(
        run(
            "fit", folder / "log.csv", "--viewers", folder / "viewers.csv", "--by", "country",
            "--least-viewers", 40, "--recommender", "transitions", "-o", folder / "bundle",
            "--json", folder / "fit.json",
        )
    )  # fmt: skip
    return folder


def test_a_fit_says_what_became_of_each_region(place):
    said = (place / "said.txt").read_text()
    assert "By region: 2 of 3 regions answered by a model of its own, the others by the shared one." in said
    assert "  east, 130 viewers: own; on validation its own model is the better one, ndcg@10 ." in said
    assert "  small, 12 viewers: shared; 12 viewers with events, a model of its own takes 40." in said
    assert "  8 viewers of no known region: shared." in said
    assert len(json.loads((place / "fit.json").read_text())["regions"]["rows"]) == 3


def listed(place, *words):
    path = place / "one.json"
    run("recommend", place / "bundle", "-k", 6, "--json", path, *words)
    return [one["item"] for one in json.loads(path.read_text())["items"]]


def test_a_request_says_where_it_comes_from(place):
    history = ("--history", "i1", "--history", "i2")
    lists = [listed(place, *history, *where) for where in ((), ("--region", "east"), ("--region", "west"))]
    assert lists[1] != lists[2]
    assert listed(place, "--user", "v3", "--region", "east") == listed(place, "--user", "v3")
    assert listed(place, "--user", "v3", "--region", "west") != listed(place, "--user", "v3")
    said = run("recommend", place / "bundle", *history, "--region", "nowhere")
    assert "Models of their own have east, west; the others share one." in said
    assert "No item" not in run("recommend", place / "bundle", *history, "--region", "west")


def test_likeness_by_region(place):
    found = []
    for where in ((), ("--region", "west")):
        run("similar", place / "bundle", "--item", "i1", "--json", place / "like.json", *where)
        found.append([one["item"] for one in json.loads((place / "like.json").read_text())["items"]])
    assert found[0] != found[1]


@pytest.mark.parametrize("command", ["fit", "compare"])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--by", "region"], "needs a table of viewers with that column: name its file"),
        (["--viewers", "viewers.csv", "--by", "plan"], "has no such column; it has region."),
        (["--viewers", "viewers.csv", "--by", " "], "--by"),
    ],
)
def test_a_column_that_is_not_there_is_refused(place, monkeypatch, command, words, said):
    monkeypatch.chdir(place)
    where = (
        ["-o", "other", "--recommender", "popularity"]
        if command == "fit"
        else ["--recommenders", "popularity"]
    )
    with pytest.raises(InputError, match=said) as refused:
        CliRunner().invoke(app, [command, "log.csv", *words, *where], catch_exceptions=False)
    assert refused.value.exit_status == 2
    assert not (place / "other").exists()


@pytest.mark.parametrize("words", [("recommend", "--history", "i1"), ("similar", "--item", "i1")])
def test_a_blank_region_is_refused(words):
    with pytest.raises(InputError, match="--region is an empty text"):
        run(words[0], "bundle", *words[1:], "--region", " ")
