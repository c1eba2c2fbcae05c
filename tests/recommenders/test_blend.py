import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from matinee.answers.model import load
from matinee.answers.scorers import make_scorer
from matinee.core.errors import SettingsError, Stopped
from matinee.core.run import Run
from matinee.core.settings import config_values
from matinee.core.types import Askers, Histories
from matinee.recommenders import make_recommender
from matinee.recommenders.blend import Blend, _some
from matinee.recommenders.held_out import HeldOut, hold_out, without
from matinee.recommenders.ials import Ials
from matinee.recommenders.transitions import Transitions
from matinee.testing.made_logs import log_of
from matinee.testing.recommenders import RecommenderTests
from matinee.testing.tastes import predictable_log

SMALL = {
    "sequential": {"width": 16, "layers": 1, "passes": 5, "batch_events": 256, "rate": 0.01, "longest": 20},
    "ials": {"factors": 8, "epochs": 3},
}


class TestBlend(RecommenderTests):
    name = "blend"
    parts = frozenset({"blend", "sequential", "transitions", "ials"})
    # The weights are given: chosen ones may differ between two logs that a test compares.
    settings = {**SMALL, "weights": (2.0, 1.0)}  # noqa: RUF012
    additive = False
    idle = {  # noqa: RUF012
        "sequential": "its own suite moves each of its settings",
        "transitions": "its own suite moves each of its settings",
        "ials": "its own suite moves each of its settings",
        "sums": "no answer needs them: an update does",
    }
    moves = {  # noqa: RUF012
        "weights": ((1.0, 0.0), (1.0, 2.0)),
        "partners": (("transitions", "ials"), ("ials", "transitions")),
    }


@pytest.fixture(scope="module")
def log():
    return predictable_log(300)


@pytest.fixture(scope="module")
def model(log):
    return make_recommender("blend", SMALL).fit(log)


def test_the_product_is_that_of_its_parts_fitted_alone(log, model):
    taught = without(log, hold_out(log, 0))
    for name, learnt in (("sequential", log), ("transitions", log), ("ials", taught)):
        values = config_values(getattr(make_recommender("blend", SMALL).config, name))
        alone = make_recommender(name, values).fit(learnt, seed=0).parts[name]
        for key, tensor in alone.tensors.items():
            np.testing.assert_array_equal(model.parts[name].tensors[key], tensor)


def test_the_chosen_weights_rank_what_was_held_out_at_least_as_well_as_others(log, model):
    held = hold_out(log, 0)
    chosen = tuple(row[0] for row in model.parts["blend"].settings["weights"])
    # The finished parts have seen more than those that the weights were chosen by: nearly as well.
    best = held.ndcg(model.scores, log.n_items)
    for weights in ((0.0, 0.0), (3.0, 0.0), (0.0, 1.0)):
        settings = dict(model.parts["blend"].settings) | {"weights": [[weight] for weight in weights]}
        other = dataclasses.replace(model.parts["blend"], settings=settings)
        reweighed = dataclasses.replace(model, parts={**model.parts, "blend": other})
        assert held.ndcg(reweighed.scores, log.n_items) <= best + 0.02, (chosen, weights)


class Fixed:
    """Scores that are the same for all items but the one that is right."""

    def __init__(self, held, right, wrong):
        self.held, self.right, self.wrong = held, right, wrong

    def score(self, askers):
        rows = np.searchsorted(self.held.askers.viewers, askers.viewers)
        scores = np.full((len(askers), 75), self.wrong, np.float32)
        scores[np.arange(len(askers)), self.held.targets[rows]] = self.right
        return scores


@pytest.mark.parametrize("partners", [("transitions", "ials"), ("ials", "transitions")])
def test_each_partner_has_its_own_weight_and_its_own_floor(log, monkeypatch, partners):
    """One partner is right, by log(1 / 2e-4) = 8.5 of its floor, the other wrong, by log(1e6 / 1e-2) = 18.4.

    Of the weights that rank the right item first, 1 and .25 are the nearest to 1 and 1.
    """
    held = hold_out(log, 0)
    said = {"network": (0.0, 0.0), "linear": (1.0, 0.0), "factors": (0.0, 1e6)}
    monkeypatch.setattr(
        "matinee.recommenders.blend.make_scorer", lambda part, _: Fixed(held, *said[part.kind])
    )
    model = make_recommender("blend", {**SMALL, "partners": partners}).fit(log)
    found = model.parts["blend"].settings
    assert found["parts"] == ["sequential", *partners]
    told = dict(zip(partners, zip(found["weights"], found["floors"], strict=True), strict=True))
    assert told == {"transitions": ([1.0], 2e-4), "ials": ([0.25], 1e-2)}


def test_weights_are_chosen_by_parts_that_never_saw_what_is_held_out(log, monkeypatch):
    learnt, held = [], len(hold_out(log, 0))
    for partner in (Transitions, Ials):
        plain = partner.fit

        def watched(self, taught, plain=plain, **more):
            learnt.append((self.name, len(log.histories.items) - len(taught.histories.items)))
            return plain(self, taught, **more)

        monkeypatch.setattr(partner, "fit", watched)
    make_recommender("blend", SMALL).fit(log)
    assert sorted(learnt) == [("ials", held), ("transitions", 0), ("transitions", held)]


def test_where_hardly_anything_is_held_back_each_partner_is_fitted_once(log, monkeypatch):
    learnt, held = [], len(hold_out(log, 0))
    for partner in (Transitions, Ials):
        plain = partner.fit

        def watched(self, taught, plain=plain, **more):
            learnt.append((self.name, len(log.histories.items) - len(taught.histories.items)))
            return plain(self, taught, **more)

        monkeypatch.setattr(partner, "fit", watched)
    blend = make_recommender("blend", SMALL)
    twice = blend.needs(log).cpu_s
    monkeypatch.setattr("matinee.recommenders.blend._LITTLE", 1.0)
    assert blend.needs(log).cpu_s < twice
    model = blend.fit(log)
    assert sorted(learnt) == [("ials", held), ("transitions", held)]
    assert not model.parts["transitions"].sums


def test_its_bar_never_goes_back(log):
    told = []
    make_recommender("blend", SMALL).fit(log, run=Run(tell=told.append))
    shares = [step.share for step in told]
    assert len(shares) > 3
    assert shares == sorted(shares)
    assert shares[-1] == 1.0 > shares[-2]


@pytest.mark.parametrize(
    ("keeps", "words"), [(False, "nothing of it was kept"), (True, "goes on from there")]
)
def test_asked_to_stop_once_its_network_is_there_it_stops(log, monkeypatch, tmp_path, keeps, words):
    told = []

    def never(*_, **__):
        raise AssertionError

    monkeypatch.setattr(Transitions, "fit", never)
    run = Run(
        checkpoints=tmp_path if keeps else None,
        tell=told.append,
        should_stop=lambda: bool(told) and told[-1].doing == "closed forms",
    )
    with pytest.raises(Stopped, match=f"once its network was trained, .*{words}"):
        make_recommender("blend", SMALL).fit(log, run=run)


def test_a_model_says_on_how_many_events_its_weights_were_chosen(log, model):
    assert model.parts["blend"].settings["held_back"] == len(hold_out(log, 0))
    assert "note" not in model.parts["blend"].settings


def test_a_log_too_short_to_hold_any_event_back_is_said_to_be():
    log = log_of([[0, 1], [1]], n_items=3)
    note = make_recommender("blend", SMALL).fit(log).parts["blend"].settings["note"]
    assert note.endswith("Too few events to hold any back: all passes are made. The parts weigh alike.")
    given = make_recommender("blend", {**SMALL, "weights": (1.0, 2.0)}).fit(log).parts["blend"].settings
    assert "weigh alike" not in given["note"]
    note = make_recommender("sequential", SMALL["sequential"]).fit(log_of([[0, 1, 2]])).parts["sequential"]
    assert "1 event held back: too few to tell when to stop, all passes are made." in note.settings["note"]


def without_last(log, viewers):
    """The log, some viewers without their last two events."""
    back = np.repeat(log.histories.offsets[1:], log.histories.lengths) - np.arange(len(log))
    return log.keep((back > 2) | ~np.isin(log.histories.rows(), viewers))


def test_an_update_goes_on_from_every_part_with_the_weights_that_were_chosen(log, tmp_path):
    old = without_last(log, np.arange(40))
    blend = make_recommender("blend", SMALL)
    blend.fit(old).save(tmp_path / "bundle")
    stale = load(tmp_path / "bundle")
    warm = blend.update(stale, log, seed=1)
    exact = Transitions().fit(log).parts["transitions"].tensors["weights"]
    np.testing.assert_allclose(warm.parts["transitions"].tensors["weights"], exact, atol=1e-5)
    anew = Ials(factors=8, epochs=20, decay=1.0).fit(log).scores(warm.askers_of(np.arange(60)))
    alone = make_scorer(warm.parts["ials"], warm.context).score(warm.askers_of(np.arange(60)))
    assert np.corrcoef(anew.ravel(), alone.ravel())[0, 1] > 0.9
    assert warm.parts["blend"].settings["weights"] == stale.parts["blend"].settings["weights"]
    held = hold_out(log, 0)
    assert held.ndcg(warm.scores, log.n_items) > 0.95 * held.ndcg(stale.scores, log.n_items)
    again = blend.update(warm, log, seed=1)
    np.testing.assert_allclose(again.parts["transitions"].tensors["weights"], exact, atol=1e-5)


@pytest.mark.parametrize("sums", [True, False])
def test_sums_are_kept_unless_they_are_not_wanted(log, sums):
    settings = {**SMALL, "sequential": {**SMALL["sequential"], "passes": 1}, "sums": sums}
    blend = make_recommender("blend", settings)
    stale = blend.fit(without_last(log, np.arange(40)))
    assert bool(stale.parts["transitions"].sums) == sums
    warm = blend.update(stale, log)
    assert bool(warm.parts["transitions"].sums) == sums
    exact = Transitions().fit(log).parts["transitions"].tensors["weights"]
    np.testing.assert_allclose(warm.parts["transitions"].tensors["weights"], exact, atol=1e-5)


def test_given_weights_are_used_as_they_are(log):
    model = make_recommender("blend", {**SMALL, "weights": (0.7, 0.1)}).fit(log)
    assert model.parts["blend"].settings["weights"] == [[0.7], [0.1]]
    assert model.parts["blend"].settings["held_back"] is None


def test_a_network_without_partners_answers_alone(log):
    model = make_recommender("blend", {**SMALL, "partners": "none"}).fit(log)
    askers = model.askers_of(np.arange(20))
    alone = make_scorer(model.parts["sequential"], model.context).score(askers)
    found = model.scorer.score(askers)
    np.testing.assert_allclose(found - found[:, :1], alone - alone[:, :1], atol=1e-4)


def test_where_all_weights_are_equals_all_parts_are_trusted_alike():
    # One viewer is asked, whose item is the only one left: every set of weights ranks it first.
    model = make_recommender("blend", SMALL).fit(log_of([[0, 1, 2]], n_items=3))
    assert model.parts["blend"].settings["weights"] == [[1.0], [1.0]]


def test_in_a_large_catalogue_those_who_are_asked_are_spread_over_all(log):
    held = hold_out(log, 0)
    held = held.of(np.tile(np.arange(len(held)), 10))
    asked = np.concatenate(_some(held, 10**7))
    assert len(asked) == len(set(asked.tolist())) == 100
    assert np.diff(asked).max() <= np.ceil(len(held) / 100)
    assert len(np.concatenate(_some(held, 10))) == len(held)


def test_parts_that_were_fitted_before_are_found(log, model):
    class Kept:
        def __init__(self):
            self.asked = []

        def find(self, name, settings, seed):
            self.asked.append((name, seed))
            return model.parts[name.removesuffix(" of blend")], {}

        def keep(self, *args):
            raise AssertionError("nothing new was fitted")

    kept = Kept()
    again = make_recommender("blend", {**SMALL, "weights": (1.0, 0.5)}).fit(log, run=Run(kept=kept))
    assert kept.asked == [("sequential", 0), ("ials of blend", 0), ("transitions", 0)]
    assert again.parts["sequential"] is model.parts["sequential"]


def test_a_parts_settings_are_written_with_a_dot():
    config = Blend(**{"sequential.width": "32", "transitions.ridge": "100", "ials": {"factors": 4}}).config
    assert (config.sequential.width, config.transitions.ridge, config.ials.factors) == (32, 100.0, 4)
    assert Blend(**config_values(config)).config == config


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sequential.widht": 3}, "width"),
        ({"partners": ("foo",)}, "Unknown partner of blend 'foo': known are ials, transitions"),
        ({"passes": 1}, "Unknown setting of blend 'passes': did you mean 'sequential.passes'"),
        ({"ridge": 1}, "did you mean 'transitions.ridge' or 'ials.ridge'"),
        ({"transitions.ridge": -3}, "ridge"),
        ({"partners": ("ials", "ials")}, "once"),
        ({"weights": (1.0,)}, "2 weights"),
        ({"weights": (1.0, -1.0)}, "at least 0"),
        ({"sequential": "5"}, "sequential.KEY=VALUE"),
    ],
)
def test_what_cannot_be_joined_is_refused(settings, words):
    with pytest.raises(SettingsError, match=words):
        Blend(**settings)


def test_a_network_that_knows_nothing_counts_for_little_beside_a_partner_that_does():
    random, n = np.random.default_rng(0), 60
    targets = random.integers(0, n, 40).astype(np.int32)
    histories = Histories(items=np.zeros(0, np.int32), offsets=np.zeros(41, np.int64))
    held = HeldOut(
        taught=np.zeros(0, bool),
        askers=Askers(histories=histories, viewers=np.arange(40)),
        targets=targets,
        repeats=False,
    )

    class Says:
        def __init__(self, scores):
            self._scores = scores

        def score(self, askers):
            return self._scores[askers.viewers].astype(np.float32)

    # The partner holds the target for a little likelier than the rest, the network anything for much more so.
    chances = np.full((40, n), 0.01)
    chances[np.arange(40), targets] = 0.012
    noise = random.normal(size=(40, n))
    taught = SimpleNamespace(n_items=n)
    weak = Blend(partners=("transitions",))._best_weights(taught, held, [Says(noise), Says(chances)])
    assert weak == [24.0]
    none = Blend(partners=("transitions",))._best_weights(
        taught, held, [Says(100 * chances), Says(np.exp(noise))]
    )
    assert none == [0.0]
