"""A comparison by region: one scoreboard with each region's own fits against the shared ones."""

import io
import json

import pytest
from rich.console import Console
from tests.recipes.two_ways import two_ways

import matinee
from matinee.core.errors import InputError, SettingsError
from matinee.report.page import scoreboard_page
from matinee.report.regions import region_verdicts, regions_table


@pytest.fixture(scope="module")
def board():
    return matinee.compare(
        two_ways(), ["popularity", "transitions"], protocol="leave-one-out", by="region", least_viewers=40
    ).to_json()


def test_every_recommender_has_its_row_and_every_region_both_models(board):
    assert [one["name"] for one in board["recommenders"]] == ["popularity", "transitions"]
    assert (board["by"], board["unknown_viewers"]) == ("region", 8)
    assert [row["region"] for row in board["regions"]] == ["east", "west", "small"]
    west = board["regions"][1]
    popularity, transitions = west["recommenders"]
    assert (popularity["name"], transitions["name"]) == ("popularity", "transitions")
    assert transitions["answers"] == "own"
    assert transitions["validation"]["own"] > transitions["validation"]["shared"]
    for whose in ("own", "shared"):
        one = transitions[whose]["metrics"]["ndcg@10"]
        assert one["low"] <= one["mean"] <= one["high"]
    gap = transitions["difference"]
    means = [transitions[whose]["metrics"]["ndcg@10"]["mean"] for whose in ("own", "shared")]
    assert gap["mean"] == pytest.approx(means[0] - means[1])
    assert gap["low"] <= gap["mean"] <= gap["high"]
    assert 0 < gap["p"] <= gap["p_holm"] <= 1
    assert transitions["fit_cpu_s"] > 0


def test_a_small_region_has_the_shared_figures_alone(board):
    small = board["regions"][2]
    assert small["why"] == "12 viewers with events, a model of its own takes 40"
    for one in small["recommenders"]:
        assert one["answers"] == "shared"
        assert one["difference"] is None
        assert "own" not in one
        assert "ndcg@10" in one["shared"]["metrics"]
    assert small["verdict"] == (
        "small: the shared transitions, for 12 viewers with events, a model of its own takes 40."
    )


def test_the_regions_make_up_the_whole_table(board):
    """What the shared model comes to in each region, with those of no region, is what it comes to at all."""
    known = sum(row["recommenders"][1]["asked_viewers"] for row in board["regions"])
    assert known == board["asked_viewers"] - 8


def test_each_region_is_a_sentence(board):
    east, west, _ = (row["verdict"] for row in board["regions"])
    for name, words in (("east", east), ("west", west)):
        assert words.startswith(f"{name}: its own transitions, as validation chose; on the test ndcg@10 .")
        assert "too few to tell, 130 viewers" in words


def test_the_terminal_and_the_page_show_the_regions(board):
    console = Console(width=200, file=io.StringIO())
    console.print(regions_table(board))
    text = console.file.getvalue()
    assert "east, 130" in text
    assert "own less shared" in text
    assert region_verdicts(board)[-1] == "8 viewers of no known region have the shared model."
    page = scoreboard_page(board)
    assert "By region" in page
    assert "west: its own transitions" in page
    assert json.loads(json.dumps(board)) == board


def test_with_a_refit_validation_and_test_have_a_fit_each():
    board = matinee.compare(
        two_ways(viewers=70, small=1, unknown=0),
        ["transitions"],
        protocol="leave-one-out",
        by="region",
        least_viewers=60,
        refit=True,
    ).to_json()
    east = board["regions"][0]["recommenders"][0]
    assert set(east["validation"]) == {"own", "shared"}
    assert east["own"]["metrics"]["ndcg@10"]["mean"] != east["validation"]["own"]


def test_what_cannot_be_divided_is_refused_before_any_work():
    with pytest.raises(InputError, match="it has region, age"):
        matinee.compare(two_ways(viewers=5), ["popularity"], by="planet")
    with pytest.raises(SettingsError, match="at least 1"):
        matinee.compare(two_ways(viewers=5), ["popularity"], by="region", least_viewers=0)


def test_a_table_without_regions_says_nothing_of_them():
    assert regions_table({"regions": [], "at": [10]}) is None
    assert region_verdicts({}) == []
