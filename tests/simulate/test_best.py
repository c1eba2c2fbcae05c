"""The best-possible figures are what one who knows every chance really reaches."""

from __future__ import annotations

import numpy as np
import pytest

from matinee.core.types import Float64, Int64
from matinee.data.split import split_log
from matinee.simulate import SimulationOptions, simulate_log, simulate_log_with_truth
from matinee.simulate.best import PROTOCOLS, find_moment
from matinee.simulate.catalogue import make_catalogue
from matinee.simulate.choice import Choice, Situation
from matinee.simulate.viewers import activity
from matinee.simulate.walk import walk

SIZES = {"viewers": 1_500, "items": 150, "events": 30_000, "seed": 5}


def test_one_who_knows_the_chances_reaches_the_best_possible() -> None:
    options = SimulationOptions(predictability=0.5, **SIZES)
    truth = simulate_log_with_truth(options)[1]["best_possible"]
    catalogue, lengths = make_catalogue(options), activity(options)
    choice = Choice(options, catalogue)
    lists: dict[int, Float64] = {}

    def watch(at: Int64, situation: Situation) -> None:
        last = np.flatnonzero(np.isin(at, np.cumsum(lengths) - 1))
        if len(last):
            best = np.argsort(-choice.chances(situation.take(last)), axis=1)[:, :10]
            lists.update(zip(at[last].tolist(), best, strict=True))

    items = walk(options, catalogue, lengths, 0, watch).items
    hits = np.array([items[position] in best for position, best in lists.items()])
    assert len(hits) == truth["leave-one-out"]["targets"] == options.viewers
    assert abs(hits.mean() - truth["leave-one-out"]["recall@10"]) < 4 * hits.std() / np.sqrt(len(hits))


def test_the_best_possible_rises_with_the_dial() -> None:
    found = [
        simulate_log_with_truth(SimulationOptions(predictability=dial, **SIZES))[1]["best_possible"]
        for dial in (0.0, 0.25, 0.5, 0.75, 0.95)
    ]
    for protocol in PROTOCOLS:
        recalls = [best[protocol]["recall@10"] for best in found]
        assert recalls == sorted(recalls)
        assert recalls[-1] > 0.9
        assert recalls[0] < 0.35


def test_at_dial_0_popularity_is_the_best_possible() -> None:
    options = SimulationOptions(predictability=0, viewers=4_000, items=150, events=60_000, seed=2)
    log, truth = simulate_log_with_truth(options)
    last = log.histories.offsets[1:] - 1
    counts = np.bincount(np.delete(log.histories.items, last), minlength=options.items).astype(float)
    scores = np.tile(counts, (options.viewers, 1))
    rows, target = log.histories.rows(), log.histories.items[last]
    scores[rows, log.histories.items] = -1
    own = counts[target][:, None]
    hits = (scores > own).sum(1) < 10
    best = truth["best_possible"]["leave-one-out"]["recall@10"]
    assert abs(hits.mean() - best) < 4 * np.sqrt(best * (1 - best) / len(hits))


@pytest.mark.parametrize("targets", ["next", "successive"])
def test_the_targets_are_those_of_the_judge(targets: str) -> None:
    options = SimulationOptions(predictability=0.5, **SIZES)
    log, truth = simulate_log_with_truth(options)
    asked = split_log(log, "time-split", targets=targets).test
    known = truth["best_possible"][f"time-split-{targets}"]["targets"]
    # The simulator knows the moment to the minute.
    assert abs(len(asked) - known) <= 3


def test_the_moment_divides_nine_to_one() -> None:
    options = SimulationOptions(predictability=0.5, **SIZES)
    times = simulate_log(options).histories.times
    assert times is not None
    share = (times < find_moment(options, activity(options))).mean()
    assert abs(share - 0.9) < 1e-3


def test_a_large_log_is_judged_on_some_viewers(monkeypatch: pytest.MonkeyPatch) -> None:
    options = SimulationOptions(predictability=0.5, **SIZES)
    every = simulate_log_with_truth(options)[1]["best_possible"]
    monkeypatch.setattr("matinee.simulate.best.MOST_CELLS", 300_000)
    some = simulate_log_with_truth(options)[1]["best_possible"]
    assert some["judged"] == "one viewer in 3"
    assert some["leave-one-out"]["targets"] == 500
    assert abs(some["leave-one-out"]["recall@10"] - every["leave-one-out"]["recall@10"]) < 0.03
