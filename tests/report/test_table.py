from io import StringIO

import pytest
from rich.console import Console

from matinee.report.numbers import money
from matinee.report.table import interval_words, newcomers_table, scoreboard_table, scoreboard_words


def interval(mean, half=0.01):
    return {"mean": mean, "low": mean - half, "high": mean + half}


def row(name, **more):
    metrics = {m: interval(0.1) for m in ("ndcg@10", "recall@10", "mrr@10", "recall@20")}
    metrics["coverage@10"] = interval(0.5, 0)
    costs = {"fit_cpu_s": 1.0, "search_cpu_s": 0, "peak_rss_mb": 90.0, "answer_ms": 1.0, "fit_dollars": 0.001}
    return {"name": name, "metrics": metrics, **costs, **more}


@pytest.fixture
def board():
    return {
        "at": [10, 20], "viewers": 100, "items": 10, "events": 900, "why": "as asked.", "targets": 50,
        "asked_viewers": 50, "left_out": 3, "tied_times": 0.1, "tied_answers": 0.2,
        "newcomers": {"viewers": 2, "queries": 2, "targets": 2},
        "chosen_on_validation": "[b]est",
        "recommenders": [
            row("[b]est", newcomers={"ndcg@10": interval(0.3)}, note="no times here"),
            {**row("lost"), "metrics": {}, "error": "It ran out of memory."},
        ],
    }  # fmt: skip


def printed(renderable, width):
    console = Console(width=width, file=StringIO())
    console.print(renderable)
    return console.file.getvalue()


@pytest.mark.parametrize(("width", "shown"), [(160, True), (80, False)])
def test_a_narrow_terminal_gets_the_most_important_columns_unbroken(board, width, shown):
    words = printed(scoreboard_table(board, width), width)
    assert ".100 [.090 .110]" in words
    assert ("electricity" in words) == shown
    assert "…" not in words
    assert "[b]est *" in words  # no markup is read into a name
    assert "failed" in words


def test_what_stands_around_the_table_says_what_was_left_out(board):
    words = " ".join(scoreboard_words(board))
    for part in ("As asked.", "3 targets", "2 viewers had no past", "10.0 % of events", "20.0 % of answers"):
        assert part in words
    assert "CPU-seconds; electricity by the clock." in words
    assert "lost: It ran out of memory." in words
    assert "no times here" in words
    assert "* chosen on validation" in words
    board["recommenders"].pop()
    assert "chosen on validation" not in " ".join(scoreboard_words(board))
    assert "[b]est *" not in printed(scoreboard_table(board, 160), 160)


def test_newcomers_have_a_table_of_their_own(board):
    assert ".300 [.290 .310]" in printed(newcomers_table(board), 100)
    board["recommenders"][0].pop("newcomers")
    assert newcomers_table(board) is None


def test_a_mean_without_interval_stands_alone():
    assert interval_words(interval(0.5, 0)) == ".500"
    assert interval_words(None) == "–"


def test_small_amounts_of_money_keep_two_digits():
    assert [money(value) for value in (12.345, 0.5, 0.00123, 0.00099, 0.0000312, 0.0)] == [
        "$12.35", "$0.5000", "$0.0012", "$0.0010", "$0.000031", "$0.0000",
    ]  # fmt: skip
