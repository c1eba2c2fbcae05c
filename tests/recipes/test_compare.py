import json
import sys
from dataclasses import replace

import numpy as np
import pytest

import matinee
from matinee.core.errors import InputError, MatineeError, SettingsError
from matinee.data.split import split_log
from matinee.data.vocabulary import Vocabulary
from matinee.evaluate.judge import judge
from matinee.recipes.compare import compare
from matinee.recipes.evaluate import evaluate
from matinee.recipes.fit import fit
from matinee.recipes.handover import open_handover, write_handover
from matinee.recipes.isolate import Job, run_isolated
from matinee.recipes.isolate_run import sampled
from matinee.recipes.rows import DEFAULT_ROWS
from matinee.recipes.search import draw_tries
from matinee.recommenders import RECOMMENDERS, make_recommender
from matinee.testing.made_logs import log_of, ragged, random_log


def walks(n_viewers: int = 300, n_items: int = 40, steps: int = 9):
    """Viewers who mostly go on to the next item: a taste that transitions can see and popularity cannot."""
    random = np.random.default_rng(0)
    rows = [
        ((start + np.arange(steps)) % n_items).tolist() for start in random.integers(0, n_items, n_viewers)
    ]
    times = [sorted(random.integers(0, 10**6, steps).tolist()) for _ in rows]
    return replace(log_of(rows, times=times, n_items=n_items), fingerprint="walks")


def test_compare_judges_every_recommender_and_says_which_is_best(tmp_path):
    seen = []
    board = matinee.compare(
        walks(),
        ["popularity", "transitions"],
        protocol="leave-one-out",
        at=(5, 10),
        on_progress=lambda doing, share: seen.append((doing, share)),
    )
    facts = json.loads(json.dumps(board.to_json(), allow_nan=False))
    rows = {row["name"]: row for row in facts["recommenders"]}
    assert facts["chosen_on_validation"] == "transitions"
    assert (
        rows["transitions"]["metrics"]["ndcg@5"]["mean"] > 3 * rows["popularity"]["metrics"]["ndcg@5"]["mean"]
    )
    assert facts["pairs"][0]["p_holm"] < 0.01
    assert facts["verdict"].startswith("Too few to tell: 300 targets")
    for row in rows.values():
        assert 0 < row["fit_cpu_s"] < 60
        assert 20 < row["peak_rss_mb"] < 2_000
        assert row["answer_ms"] > 0
        assert row["search_cpu_s"] == 0
        assert row["fit_dollars"] == pytest.approx(row["fit_wall_s"] / 3600 * 0.1 * 0.3)
    assert [share for _, share in seen] == sorted(share for _, share in seen)


def test_a_process_of_its_own_finds_what_a_fit_here_finds():
    log = walks()
    board = compare(log, ["transitions"], protocol="leave-one-out", at=(10,))
    split = split_log(log, "leave-one-out")
    model = make_recommender("transitions").fit(split.train, seed=0)
    here = judge(model.scores, split.test, at=(10,)).mean("ndcg@10")
    found = board.to_json()["recommenders"][0]["metrics"]["ndcg@10"]["mean"]
    assert found == pytest.approx(here, abs=1e-6)


def test_a_search_tries_settings_on_validation_and_lists_them():
    board = compare(walks(120), ["item_knn"], protocol="leave-one-out", tries=3)
    row = board.to_json()["recommenders"][0]
    assert len(row["tries"]) == 3
    values = [one["value"] for one in row["tries"]]
    best = row["tries"][int(np.argmax(values))]
    assert row["settings"] == best["settings"]
    assert row["validation"] == pytest.approx(max(values))
    assert row["search_cpu_s"] == pytest.approx(sum(one["cpu_s"] for one in row["tries"]))


def test_the_first_try_is_the_default_and_what_was_set_stays_set():
    tries = draw_tries("ials", {"factors": 7}, 6, seed=0)
    assert tries[0] == {"factors": 7}
    assert len(tries) == 6
    assert all(settings["factors"] == 7 for settings in tries)
    assert len({json.dumps(settings, sort_keys=True) for settings in tries}) == 6
    assert tries == draw_tries("ials", {"factors": 7}, 6, seed=0)
    assert draw_tries("popularity", {}, 6, seed=0) == [{}]


def test_a_variant_is_tried_beside_the_default_even_with_one_try():
    assert draw_tries("friends", {}, 1, seed=0) == [{}, {"best_only": True}]
    assert draw_tries("friends", {"power": 2.0}, 1, seed=0)[1] == {"power": 2.0, "best_only": True}
    assert draw_tries("friends", {"best_only": False}, 1, seed=0) == [{"best_only": False}]
    more = draw_tries("friends", {}, 4, seed=0)
    assert len(more) == 4
    assert more[:2] == [{}, {"best_only": True}]


def test_validation_says_whether_all_friends_are_asked_or_the_closest_one():
    # Each viewer has a twin, whose next choices are the viewer's own, and three who like other things.
    random = np.random.default_rng(0)
    rows: list[list[int]] = []
    for _ in range(40):
        shared = random.permutation(100)[:8].tolist()
        for _ in range(2):
            own = [item for item in random.permutation(100)[:4].tolist() if item not in shared]
            rows.append(own + shared)
    friends = [[viewer ^ 1, *random.permutation(80)[:3].tolist()] for viewer in range(80)]
    log = log_of(rows, n_items=100, order="order", friends=ragged(friends))
    row = compare(log, ["friends"], protocol="leave-one-out").to_json()["recommenders"][0]
    assert [one["settings"]["best_only"] for one in row["tries"]] == [False, True]
    values = [one["value"] for one in row["tries"]]
    assert row["settings"]["best_only"] is bool(np.argmax(values))
    assert row["validation"] == pytest.approx(max(values))


def test_refit_uses_validation_too_and_a_given_test_always_refits():
    log = walks(60)
    plain = compare(log, ["popularity"], protocol="leave-one-out").to_json()
    refit = compare(log, ["popularity"], protocol="leave-one-out", refit=True).to_json()
    assert plain["recommenders"][0]["validation"] == refit["recommenders"][0]["validation"]
    assert (plain["refit"], refit["refit"]) == (False, True)
    given = compare(
        log_of([[0, 1, 2, 3]] * 20, n_items=6), ["popularity"], test=log_of([[4]] * 20, n_items=6)
    )
    assert given.to_json()["refit"]
    assert given.to_json()["protocol"] == "given"


def test_settings_reach_the_fit_and_wrong_ones_are_refused_before_anything_runs():
    board = compare(walks(60), ["ease"], protocol="leave-one-out", settings={"ease": {"ridge": "17"}})
    assert board.to_json()["recommenders"][0]["settings"]["ridge"] == 17
    with pytest.raises(SettingsError, match="ridge"):
        compare(walks(60), ["ease"], settings={"ease": {"rigde": 1}})
    with pytest.raises(SettingsError, match="popularity"):
        compare(walks(60), ["popularty"])
    with pytest.raises(SettingsError, match="ease"):
        compare(walks(60), ["ease"], settings={"eas": {"ridge": 1}})


def test_the_default_rows_are_those_that_the_log_can_feed():
    board = compare(random_log(0, n_viewers=60), at=(10,))
    names = [row["name"] for row in board.to_json()["recommenders"]]
    assert names == [name for name in DEFAULT_ROWS if name in RECOMMENDERS and name != "friends"]


@pytest.fixture
def handover(tmp_path):
    folder = tmp_path / "log"
    folder.mkdir()
    write_handover(folder, split_log(walks(60), "leave-one-out"), both=True)
    return folder


def test_a_try_that_fails_or_kills_its_process_leaves_the_others_alone(handover, tmp_path, monkeypatch):
    bad = Job(name="ease", tries=[{"ridge": "much"}, {"ridge": 5.0}], judge=("validation",))
    failed, fine = run_isolated(handover, tmp_path / "bad", bad)
    assert "much" in failed.error
    assert fine.error == ""
    assert fine.found["validation"].counts.sum() == 60
    # A program that dies at once stands for a fit that the system kills.
    killer = tmp_path / "killer.sh"
    killer.write_text("#!/bin/sh\nkill -9 $$\n")
    killer.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(killer))
    lost = run_isolated(handover, tmp_path / "lost", replace(bad, tries=[{}, {}]))
    assert [tried.error for tried in lost] == [
        "Its process was killed by the system, probably for want of memory."
    ] * 2


def test_when_nothing_can_be_fitted_the_reason_is_said():
    with pytest.raises(MatineeError, match=r"No recommender could be fitted; friends: .*friends"):
        compare(walks(60), ["friends"], protocol="leave-one-out")


def test_what_is_handed_over_is_what_was_split(tmp_path):
    log = replace(
        walks(30), negatives=ragged([[39]] * 30), friends=ragged([[1]] * 30), kinds=("view",), repeats=True
    )
    split = split_log(log, "leave-one-out")
    write_handover(tmp_path, split, both=False)
    back = open_handover(tmp_path)
    train, test = back.log("train"), back.queries("test")
    assert train.histories.items.tolist() == split.train.histories.items.tolist()
    assert train.histories.times.tolist() == split.train.histories.times.tolist()
    assert train.items.ids(range(3)) == log.items.ids(range(3))
    assert train.friends.values.tolist() == log.friends.values.tolist()
    assert (train.repeats, train.kinds, train.fingerprint) == (True, ("view",), "walks")
    assert test.targets.values.tolist() == split.test.targets.values.tolist()
    assert test.negatives.values.tolist() == split.test.negatives.values.tolist()
    asked, expected = (q.askers(np.arange(len(q))).histories for q in (test, split.test))
    assert asked.items.tolist() == expected.items.tolist()
    assert not list(tmp_path.rglob("*.pkl"))


def test_each_fit_is_handed_the_noes_of_its_own_day(tmp_path):
    log = walks(30)
    plain = split_log(log, "time-split").division
    start, moment = (int(log.histories.times[~part].min()) for part in (plain.train, plain.both))
    noes = {"negatives": ragged([[10, 20, 39]] * 30), "negative_times": np.array([-1, start, moment] * 30)}
    write_handover(tmp_path, split_log(replace(log, **noes), "time-split"), both=True)
    back = open_handover(tmp_path)
    assert back.log("train").negatives.values.tolist() == [10] * 30
    assert back.log("train_and_validation").negatives.values.tolist() == [10, 20] * 30
    assert back.queries("validation").negatives.values.tolist() == [10] * 30
    assert back.queries("test").negatives.values.tolist() == [10, 20] * 30


def test_searches_ask_at_most_so_many_viewers_the_same_each_time():
    queries = split_log(walks(60), "leave-one-out").validation
    some = sampled(queries, 20, seed=1)
    assert some.n_viewers == 20
    assert some.viewers.tolist() == sampled(queries, 20, seed=1).viewers.tolist()
    assert sampled(queries, 60, seed=1) is queries


def test_a_bundle_that_was_held_out_is_judged_as_compare_with_refit_does(tmp_path):
    log = walks()
    fit(log, "item_knn", hold_out="leave-one-out").save(tmp_path / "bundle")
    found = evaluate(tmp_path / "bundle", log).to_json()
    same = compare(log, ["item_knn"], protocol="leave-one-out", refit=True).to_json()
    assert found["protocol"] == "leave-one-out"
    assert len(found["recommenders"]) == 1
    # A bundle keeps its weights in 16 bits.
    assert found["recommenders"][0]["metrics"]["ndcg@10"]["mean"] == pytest.approx(
        same["recommenders"][0]["metrics"]["ndcg@10"]["mean"], abs=0.02
    )


def test_a_time_split_bundle_is_judged_on_what_came_after_the_moment():
    log = walks()
    held = fit(log, "popularity", hold_out="time-split")
    found = evaluate(held, log, targets="successive").to_json()
    assert found["targets"] == split_log(log, "time-split", targets="successive").test.n_targets
    assert found["targets"] > evaluate(held, log).to_json()["targets"]


def test_a_bundle_whose_fit_saw_the_test_is_refused():
    log = walks(60)
    with pytest.raises(InputError, match="saw the test events"):
        evaluate(fit(log, "popularity"), log)
    held = fit(log, "popularity", hold_out="leave-one-out")
    with pytest.raises(InputError, match="may have seen that of time-split"):
        evaluate(held, log, protocol="time-split")
    with pytest.raises(InputError, match="another log"):
        evaluate(held, replace(log, fingerprint="changed"))


def test_a_test_of_strangers_alone_is_refused():
    log = walks(40)
    others = [f"V{code}" for code in range(40)]
    with pytest.raises(InputError, match=r"None of the test's 40 viewers is in the log: are the ids written"):
        compare(log, ["popularity"], test=replace(log, viewers=Vocabulary(others)))
    items = Vocabulary([f"I{code}" for code in range(40)])
    with pytest.raises(InputError, match="None of the test's 40 items is in the log"):
        compare(log, ["popularity"], test=replace(log, items=items))


def test_settings_of_a_recommender_that_is_not_compared():
    with pytest.raises(SettingsError, match="given for ease, which is not compared: compared are popularity"):
        compare(walks(40), ["popularity"], settings={"ease": {"ridge": "1"}})
    with pytest.raises(SettingsError, match="Unknown recommender 'eas': did you mean 'ease'"):
        compare(walks(40), ["popularity"], settings={"eas": {"ridge": "1"}})
