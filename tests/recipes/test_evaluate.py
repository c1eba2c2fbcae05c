"""Judging a bundle: on the events that its fit was kept from, and on no others."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from matinee.answers.manifest import bury
from matinee.answers.model import Model, load
from matinee.core.errors import InputError
from matinee.data.forget import forget
from matinee.data.log import InteractionLog
from matinee.data.split import PROTOCOLS, split_log
from matinee.data.vocabulary import Vocabulary
from matinee.evaluate.judge import judge
from matinee.recipes.evaluate import evaluate, held_out_split
from matinee.recipes.fit import FitOptions, fit_bundle
from matinee.recommenders import make_recommender
from matinee.testing.made_logs import log_of

SPLITS = sorted(set(PROTOCOLS) - {"given"})


def steps(n_viewers: int = 120, n_items: int = 40) -> InteractionLog:
    """Viewers of unlike lengths, each at a time of their own, who go on from item to item."""
    random = np.random.default_rng(5)
    lengths = random.integers(6, 14, n_viewers)
    rows = [((random.integers(n_items) + np.arange(n)) % n_items).tolist() for n in lengths]
    times = [np.sort(random.integers(0, 10**6, n)).tolist() for n in lengths]
    return log_of(rows, times=times, n_items=n_items, fingerprint="5" * 64)


def fitted(log: InteractionLog, folder: str, protocol: str, *, histories: bool = True) -> None:
    name = "user_knn" if histories else "item_knn"
    options = FitOptions(recommender=name, hold_out=protocol, seed=3, histories=histories)
    fit_bundle(log, folder, options)


def pairs(log: InteractionLog) -> set[tuple[str, int, int]]:
    """Every event, by the viewer's id, the item and the time."""
    histories = log.histories
    owners = log.viewers.ids(histories.rows())
    return set(zip(owners, histories.items.tolist(), histories.times.tolist(), strict=True))


@pytest.mark.parametrize("protocol", SPLITS)
def test_after_deletions_a_bundle_is_still_judged_on_what_its_fit_did_not_see(protocol, tmp_path):
    log = steps()
    fitted(log, tmp_path / "b", protocol)
    bury(tmp_path / "b", frozenset(["v1", "v3", "v17"]))
    fitted(log, tmp_path / "b", protocol)
    model = load(tmp_path / "b")
    split = held_out_split(model, log)
    assert split.log.n_viewers == 117
    assert pairs(split.train_and_validation) == pairs(model.log)
    honest = split_log(forget(log, ["v1", "v3", "v17"]), protocol, seed=3)
    expected = make_recommender("user_knn").fit(honest.train_and_validation, seed=3)
    wanted = judge(expected.scores, honest.test, at=(10,)).mean("ndcg@10")
    found = evaluate(model, log, at=(10,)).to_json()["recommenders"][0]["metrics"]["ndcg@10"]["mean"]
    assert found == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("histories", [True, False])
def test_whoever_was_deleted_after_the_fit_is_not_asked_and_the_split_stays(histories, tmp_path):
    log = steps()
    fitted(log, tmp_path / "b", "time-split", histories=histories)
    bury(tmp_path / "b", frozenset(["v1", "v3"]))
    split, whole = held_out_split(load(tmp_path / "b"), log), split_log(log, "time-split", seed=3)
    assert split.log.n_viewers == 120
    for found, all_ in ((split.test, whole.test), (split.validation, whole.validation)):
        assert found.viewers.tolist() == [v for v in all_.viewers.tolist() if v not in (1, 3)]
        assert {1, 3} & set(all_.viewers.tolist())
    assert len(split.newcomers) + len(split.test) == len(split.division.test)


def test_one_deleted_before_and_one_after_the_fit(tmp_path):
    log = steps()
    fitted(log, tmp_path / "b", "random-holdout")
    bury(tmp_path / "b", frozenset(["v1"]))
    fitted(log, tmp_path / "b", "random-holdout")
    bury(tmp_path / "b", frozenset(["v3"]))
    split = held_out_split(load(tmp_path / "b"), log)
    assert split.log.n_viewers == 119
    assert split.log.viewers.code("v3") not in split.test.viewers.tolist()
    assert len(split.test) == 118


def test_a_bundle_without_histories_forgets_all_or_nobody(tmp_path):
    log = steps()
    fitted(log, tmp_path / "b", "leave-one-out", histories=False)
    bury(tmp_path / "b", frozenset(["v1"]))
    fitted(log, tmp_path / "b", "leave-one-out", histories=False)
    assert held_out_split(load(tmp_path / "b"), log).log.n_viewers == 119
    bury(tmp_path / "b", frozenset(["v3"]))
    with pytest.raises(InputError, match="another log"):
        held_out_split(load(tmp_path / "b"), log)


def test_viewers_in_another_order_are_refused():
    log = steps()
    split = split_log(log, "random-holdout", seed=3)
    model = make_recommender("popularity").fit(split.train_and_validation)
    model = replace(model, facts={"split": split.facts()})
    held_out_split(model, log)
    turned = replace(log, viewers=Vocabulary(log.viewers.ids(range(120))[::-1]))
    with pytest.raises(InputError, match="viewers, or their order"):
        held_out_split(model, turned)


def at_seed(model: Model, log: InteractionLog) -> Callable[[int], list[int]]:
    """What is asked of a model whose split says another seed."""

    def asked(seed: int) -> list[int]:
        facts = {"split": {**model.facts["split"], "seed": seed}}
        return held_out_split(replace(model, facts=facts), log).test.targets.values.tolist()

    return asked


def test_the_split_is_drawn_by_the_seed_of_the_fit():
    log = steps()
    split = split_log(log, "random-holdout", seed=3)
    model = make_recommender("popularity").fit(split.train_and_validation)
    asked = at_seed(replace(model, facts={"split": split.facts()}), log)
    assert asked(3) == split.test.targets.values.tolist()
    assert asked(3) != asked(4)
