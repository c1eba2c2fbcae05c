"""Which recommenders stand in a table that nobody chose, on this machine and for this log."""

import re

import pytest

from matinee.core.errors import MissingExtra, SettingsError
from matinee.core.promise import Needs
from matinee.core.run import Run
from matinee.recipes import rows
from matinee.recipes.compare import compare
from matinee.recipes.fit import FitOptions, fit_model
from matinee.recipes.rows import DEFAULT_ROWS, default_rows, note_of
from matinee.recommenders import RECOMMENDERS, make_recommender
from matinee.report.table import scoreboard_words
from matinee.testing.made_logs import log_of, random_log


@pytest.fixture
def log():
    return random_log(0, n_viewers=60)


@pytest.fixture
def small(steppers, monkeypatch):
    """A table of one closed form and one that trains."""
    monkeypatch.setattr(rows, "DEFAULT_ROWS", ("popularity", "stepper"))


def without_torch(monkeypatch):
    monkeypatch.setattr(rows, "find_spec", lambda _name: None)


def test_all_rows_stand_in_their_order_where_all_is_installed(log):
    names = default_rows(log).names
    assert names == [name for name in DEFAULT_ROWS if name in RECOMMENDERS and name != "friends"]
    assert default_rows(log).left_out == []


def test_without_times_nothing_is_recent():
    assert "recent" not in default_rows(log_of([[0, 1, 2]], order="order")).names


def test_what_is_not_installed_is_left_out_and_said(log, small, monkeypatch):
    without_torch(monkeypatch)
    said = "Left out: stepper, which needs: pip install 'matinee[network]'"
    board = compare(log, protocol="leave-one-out").to_json()
    assert [row["name"] for row in board["recommenders"]] == ["popularity"]
    assert board["notes"] == [said]
    assert fit_model(log, FitOptions()).facts["left_out"] == [said]


def test_what_is_not_installed_is_refused_where_it_is_named(log, steppers, monkeypatch):
    without_torch(monkeypatch)
    sentence = r"stepper needs: pip install 'matinee\[network\]'"
    with pytest.raises(MissingExtra, match=sentence) as raised:
        compare(log, ["popularity", "stepper"])
    assert raised.value.exit_status == 2
    with pytest.raises(MissingExtra, match=sentence):
        FitOptions(recommender="stepper").check()


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        (Needs(memory_bytes=2**60, cpu_s=1.0), "whose fit would need .* of memory, more than there is"),
        (Needs(memory_bytes=1, cpu_s=40 * 3600.0), "whose fit would take about 40 h of CPU"),
    ],
)
def test_what_is_too_large_is_tried_only_where_it_is_named(log, small, steppers, monkeypatch, needs, words):
    monkeypatch.setattr(steppers.Stepper, "needs", lambda self, log: needs)
    found = default_rows(log)
    assert found.names == ["popularity"]
    assert len(found.left_out) == 1
    assert re.fullmatch(f"Left out: stepper, {words}; it is fitted where it is named.", found.left_out[0])


def test_a_device_that_is_not_there_is_refused_before_any_work(log, steppers):
    pytest.importorskip("torch")
    with pytest.raises(SettingsError, match="abacus"):
        compare(log, ["stepper"], run=Run(device="abacus"))
    with pytest.raises(SettingsError, match="float31"):
        fit_model(log, FitOptions(recommender="stepper", run=Run(precision="float31")))


def test_a_log_without_order_is_said_once(log):
    unordered = log_of([[0, 1, 2, 3], [1, 2, 3, 4]] * 20)
    model = make_recommender("ease").fit(unordered)
    assert "no order" in note_of(model)
    assert note_of(make_recommender("ease").fit(log)) == ""
    assert fit_model(unordered, FitOptions(recommender="ease")).facts["note"] == note_of(model)
    board = compare(unordered, ["ease", "item_knn"]).to_json()
    assert sum("no order" in words for words in scoreboard_words(board)) == 1


def test_a_log_without_order_is_also_judged_by_the_sum_of_closed_forms():
    rows = [[0, 1, 2, 3], [1, 2, 3, 4]] * 20
    assert "ensemble" in default_rows(log_of(rows)).names
    assert "ensemble" not in default_rows(log_of(rows, order="order")).names
