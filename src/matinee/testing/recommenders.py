"""The conformance suite of recommenders: what every one of them promises, as tests.

A recommender's test file is a class:

    from matinee.testing.recommenders import RecommenderTests

    class TestEase(RecommenderTests):
        name = "ease"

A recommender of one's own overrides `make`. The suite needs pytest.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
from safetensors.numpy import load, save

from matinee.answers.model import Model
from matinee.answers.top import FALLBACK
from matinee.core.errors import SettingsError
from matinee.core.promise import Part
from matinee.core.settings import config_values
from matinee.core.space import Choice, Span, draw
from matinee.core.types import Askers, Float32, Histories, histories_of, newcomers
from matinee.data.log import InteractionLog
from matinee.recommenders import make_recommender
from matinee.testing.foresight import foresight
from matinee.testing.tastes import (
    disliked_log,
    friendly_log,
    patternless_log,
    predictable_log,
    weighted_log,
)


class RecommenderTests:
    """Tests that hold one recommender to the promise of `matinee.core.promise`.

    Attributes:
        name: its key in the table of recommenders.
        settings: settings that differ from its defaults, such as fewer factors for small logs.
        parts: names of all parts of its model; empty: one, of its own name.
        personal: whether it says anything personal; what is popular, or was of late, is the same for all.
        likeness: whether it finds an item most like itself.
        additive: whether the events' contributions add up to the score (beyond that of an empty history);
            else each must be the loss of score when the event is left out.
        strangers: whether it says anything personal to newcomers; friends are of viewers of the log alone.
        heeds_noes: whether it is taught by what viewers turned down.
        weighs: whether an event's weight tells; friends count what is had alike.
        moves: two values between which some score must change, for each setting that is not in `space` or
            whose ends there are not enough.
        idle: settings that may change nothing on the suite's log, each with the reason.
        made: makes the suite's logs fit for it, such as by giving their events values.
        predictable: makes the log of which it must foretell more than popularity, from `seed=`.
        patternless: makes the log of which it must not.
        margin: how much more often than popularity it must foretell the last event of predictable viewers,
            as a share of viewers; None where it need not.
        allowance: how many standard errors of the paired difference it may seem to beat popularity by on
            patternless viewers: 3 are passed by chance once in 700 seeds.
    """

    name: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]] = {}
    parts: ClassVar[frozenset[str]] = frozenset()
    personal: ClassVar[bool] = True
    likeness: ClassVar[bool] = True
    additive: ClassVar[bool] = True
    strangers: ClassVar[bool] = True
    heeds_noes: ClassVar[bool] = True
    weighs: ClassVar[bool] = True
    moves: ClassVar[Mapping[str, tuple[Any, Any]]] = {}
    idle: ClassVar[Mapping[str, str]] = {}
    made: ClassVar[Callable[..., InteractionLog]] = staticmethod(lambda log: log)
    predictable: ClassVar[Callable[..., InteractionLog]] = staticmethod(predictable_log)
    patternless: ClassVar[Callable[..., InteractionLog]] = staticmethod(patternless_log)
    margin: ClassVar[float | None] = 0.3
    allowance: ClassVar[float] = 3.0

    @classmethod
    def make(cls, **settings: Any) -> Any:
        """The recommender under test."""
        return make_recommender(cls.name, {**cls.settings, **settings})

    @classmethod
    def fitted(cls, log: InteractionLog, seed: int = 0) -> Model:
        """The recommender under test, fitted."""
        model: Model = cls.make().fit(log, seed=seed)
        return model

    @pytest.fixture(scope="class")
    @classmethod
    def log(cls) -> InteractionLog:
        """A predictable log."""
        return cls.made(predictable_log())

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, log: InteractionLog) -> Model:
        """The recommender fitted on the predictable log."""
        return cls.fitted(log)

    @pytest.fixture(scope="class")
    @classmethod
    def weighted_model(cls) -> Model:
        """The recommender fitted on a log whose events differ in weight."""
        return cls.fitted(cls.made(weighted_log()))

    # The promise

    def test_every_setting_shows_and_is_explained(self) -> None:
        recommender = self.make()
        fields = [field.name for field in dataclasses.fields(recommender.Config)]
        assert recommender.name == self.name
        assert list(config_values(recommender.config)) == fields
        for field in fields:
            assert f"{field}:" in recommender.Config.__doc__, f"{field} has no line in its config's docstring"

    def test_settings_are_frozen(self) -> None:
        config = self.make().config
        for field in dataclasses.fields(config):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(config, field.name, None)

    def test_an_unknown_setting_is_an_error_that_names_the_nearest(self) -> None:
        fields = [field.name for field in dataclasses.fields(self.make().Config)]
        with pytest.raises(SettingsError, match=fields[0] if fields else "Unknown setting"):
            self.make(**{f"{fields[0] if fields else 'nothing'}x": 1})

    def test_every_point_of_the_space_is_a_config(self) -> None:
        random = np.random.default_rng(0)
        for _ in range(20):
            point = draw(self.make().space, random)
            shown = _flat(config_values(self.make(**point).config))
            assert {key: shown[key] for key in point} == json.loads(json.dumps(point))

    def test_each_setting_moved_across_its_range_changes_a_score(self) -> None:
        log = self.made(weighted_log(120))
        space, asking = self.make().space, _everybody(log)
        for field in dataclasses.fields(self.make().Config):
            if field.name in self.idle:
                continue
            assert field.name in {*space, *self.moves}, f"{field.name}: give it two values in `moves`"
            ends = self.moves.get(field.name) or _ends(space[field.name])
            found = [self.make(**{field.name: end}).fit(log).scores(asking) for end in ends]
            assert _differ(*found), f"{field.name} changes nothing between {ends[0]} and {ends[1]}"

    def test_weights_of_events_tell(self, weighted_model: Model) -> None:
        log = weighted_model.log
        plain = dataclasses.replace(log, histories=dataclasses.replace(log.histories, weights=None))
        popularity = np.bincount(log.histories.items, log.histories.weights, log.n_items)
        np.testing.assert_allclose(weighted_model.context.popularity, popularity, rtol=1e-5)
        scores = weighted_model.scorer.score(_everybody(log))
        assert _differ(scores, self.fitted(plain).scorer.score(_everybody(log))) == self.weighs
        told_by_asker = self.weighs and self.personal
        assert _differ(scores, weighted_model.scorer.score(_everybody(plain))) == told_by_asker

    def test_needs_are_predicted(self, log: InteractionLog) -> None:
        needs = self.make().needs(log)
        assert needs.memory_bytes > 0
        assert needs.cpu_s > 0

    def test_the_model_knows_its_name_and_settings(self, model: Model) -> None:
        assert model.name == self.name
        assert model.config == config_values(self.make().config)
        assert set(model.parts) == (self.parts or {self.name})

    # Same answers

    def test_the_same_seed_gives_the_same_model(self, log: InteractionLog, model: Model) -> None:
        again = self.fitted(log)
        for name, part in model.parts.items():
            assert again.parts[name].tensors.keys() == part.tensors.keys()
            assert again.parts[name].settings == part.settings
            for key, tensor in part.tensors.items():
                np.testing.assert_array_equal(again.parts[name].tensors[key], tensor)

    def test_a_batch_answers_as_each_alone(self, log: InteractionLog, model: Model) -> None:
        askers = _everybody(log).take(np.arange(40))
        together = model.scores(askers)
        for row in range(len(askers)):
            _assert_same(model.scores(askers.take(np.array([row]))), together[row : row + 1])

    def test_the_order_of_askers_changes_nothing(self, log: InteractionLog, model: Model) -> None:
        askers = _everybody(log)
        order = np.random.default_rng(3).permutation(len(askers))
        _assert_same(model.scores(askers.take(order)), model.scores(askers)[order])

    def test_a_part_survives_being_written(self, log: InteractionLog, model: Model) -> None:
        again = dataclasses.replace(model, parts={name: _written(part) for name, part in model.parts.items()})
        np.testing.assert_array_equal(again.scores(_everybody(log)), model.scores(_everybody(log)))

    # Whoever asks gets an answer

    def test_newcomers_get_an_answer(self, log: InteractionLog, model: Model) -> None:
        askers = newcomers(histories_of([[0, 1, 2], [40], [5, 5, 5]]))
        assert _scores(model, askers).shape == (3, log.n_items)
        assert model.scorer.personal(askers).dtype == np.bool_

    def test_an_empty_history_gets_the_popular(self, model: Model) -> None:
        nobody = newcomers(histories_of([[], [1], []]))
        scores = _scores(model, nobody)
        if self.personal:
            assert not model.scorer.personal(nobody)[[0, 2]].any()
            np.testing.assert_array_equal(scores[[0, 2]], np.tile(model.context.popularity, (2, 1)))

    def test_one_asker_of_whom_nothing_is_known(self, log: InteractionLog, model: Model) -> None:
        # Alone in the batch: nobody beside them has a history either.
        unknown, lacking = model.newcomers([["an item", "another"]])
        assert lacking.tolist() == [2]
        for asker in (newcomers(histories_of([[]])), unknown, newcomers(histories_of([]))):
            assert _scores(model, asker).shape == (len(asker), log.n_items)
            assert len(model.scorer.personal(asker)) == len(asker)
        lists = model.recommend_history([[]], k=3), model.recommend(["nobody knows"], k=3)
        for top in lists:
            assert top.sources == [FALLBACK]
            assert (top.codes[0] >= 0).all()
        unwatched = np.flatnonzero(model.context.popularity == 0)
        _scores(model, newcomers(histories_of([unwatched[:1].tolist()])))

    def test_items_that_nobody_watched(self, model: Model) -> None:
        unwatched = np.flatnonzero(model.context.popularity == 0)
        assert len(unwatched) > 0
        _scores(model, newcomers(histories_of([unwatched.tolist(), [*unwatched.tolist(), 1]])))

    def test_who_has_seen_everything(self, log: InteractionLog, model: Model) -> None:
        everything = histories_of([list(range(log.n_items)) * 2])
        _scores(model, newcomers(everything))
        _scores(model, Askers(histories=everything, viewers=np.array([0])))

    @pytest.mark.parametrize("order", ["time", "none"])
    def test_a_catalogue_of_one_item(self, order: str) -> None:
        log = self.made(friendly_log([[0], [0, 0], []], 1, [[1], [0, 2], []], order))
        model = self.fitted(log)
        assert _scores(model, _everybody(log)).shape == (3, 1)
        assert model.scorer.similar(np.array([0], dtype=np.int32)).shape == (1, 1)

    def test_a_log_of_one_event(self) -> None:
        log = self.made(friendly_log([[2]], 4, [[]]))
        _scores(self.fitted(log), _everybody(log))

    def test_a_log_without_order(self) -> None:
        log = self.made(predictable_log(100, order="none"))
        model = self.fitted(log)
        history = log.histories.row(0)
        there, back = (
            newcomers(histories_of([history.tolist()])),
            newcomers(histories_of([history[::-1].tolist()])),
        )
        _assert_same(_scores(model, there), _scores(model, back))

    # Reasons and likeness

    @pytest.mark.parametrize("known", [True, False])
    def test_contributions_are_the_models_own_arithmetic(self, weighted_model: Model, known: bool) -> None:
        histories, said = weighted_model.log.histories, 0.0
        for viewer, item in itertools.product((0, 1, 2, 3), (3, 40, 71, int(histories.row(4)[-1]))):
            who = np.array([viewer if known else -1])
            asker = Askers(histories=histories.take(np.array([viewer])), viewers=who)
            contributions = weighted_model.scorer.contributions(asker, item)
            assert contributions.shape == (len(asker.histories.items),)
            scores = weighted_model.scorer.score(_less_each(asker))[:, item].astype(np.float64)
            size = 1e-6 + 1e-4 * float(np.abs(scores).max())
            if self.additive:
                assert abs(contributions.sum() - (scores[0] - scores[-1])) <= size
            else:
                np.testing.assert_allclose(contributions, scores[0] - scores[1:-1], atol=size)
            said += float(np.abs(contributions).sum())
        assert (said > 0) == (self.personal and (known or self.strangers)), said

    def test_contributions_to_no_history(self, model: Model) -> None:
        nobody = newcomers(histories_of([[]]))
        assert model.scorer.contributions(nobody, 1).shape == (0,)

    def test_similar_items(self, log: InteractionLog, model: Model) -> None:
        items = np.array([3, 40, 70], dtype=np.int32)
        likeness = model.scorer.similar(items)
        assert likeness.shape == (3, log.n_items)
        assert np.isfinite(likeness).all()
        _assert_same(model.scorer.similar(items[1:2]), likeness[1:2])
        unwatched = model.scorer.similar(np.array([log.n_items - 1], dtype=np.int32))
        assert np.isfinite(unwatched).all()
        if self.likeness:
            np.testing.assert_array_equal(likeness.argmax(axis=1), items)

    def test_what_the_like_minded_turn_down_sinks(self) -> None:
        if not self.heeds_noes:
            pytest.skip("what is turned down is only kept from whoever turned it down")
        log = disliked_log(item=5)
        told, untold = self.fitted(log), self.fitted(dataclasses.replace(log, negatives=None))
        alike = newcomers(histories_of([[2, 3, 4], [3, 4], [7, 4], [3, 6]]))
        # In standard deviations of an asker's scores, so that the recommender's scale does not matter.
        sunk = [
            (s[:, 5] - s.mean(axis=1)) / s.std(axis=1) for s in (untold.scores(alike), told.scores(alike))
        ]
        assert (sunk[0] - sunk[1] > 0.02).all(), sunk
        others = newcomers(histories_of([[14, 15, 16]]))
        assert told.scores(others)[0].argmax() == untold.scores(others)[0].argmax()

    # The pair

    def test_predictable_viewers_are_foretold_better_than_by_popularity(self) -> None:
        if self.margin is None:
            pytest.skip("nothing is promised beyond popularity")
        log = self.made(self.predictable(seed=1))
        own, popular = foresight(self.fitted, log), foresight(_fit_popularity, log)
        assert own.mean() >= popular.mean() + self.margin, (own.mean(), popular.mean())

    def test_patternless_viewers_are_not(self) -> None:
        log = self.made(self.patternless(seed=1))
        difference = foresight(self.fitted, log) - foresight(_fit_popularity, log)
        error = difference.std() / np.sqrt(len(difference))
        assert difference.mean() <= self.allowance * error + 1e-9, (difference.mean(), error)


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by name, those of a part after its own name and a dot."""
    inner = {
        f"{part}.{key}": value
        for part in values
        if isinstance(values[part], Mapping)
        for key, value in values[part].items()
    }
    return {**values, **inner}


def _fit_popularity(log: InteractionLog) -> Model:
    model: Model = make_recommender("popularity").fit(log)
    return model


def _written(part: Part) -> Part:
    """A part as it comes back from a bundle that kept its numbers as they are."""
    tensors = {key: np.ascontiguousarray(tensor) for key, tensor in part.tensors.items()}
    settings = json.loads(json.dumps(dict(part.settings)))
    return dataclasses.replace(part, tensors=load(save(tensors)), settings=settings)


def _less_each(asker: Askers) -> Askers:
    """One asker with the whole history, then with each event left out, then with none."""
    n = len(asker.histories.items)
    kept = np.ones((n + 2, n), dtype=np.bool_)
    kept[np.arange(1, n + 1), np.arange(n)] = False
    kept[-1] = False
    copies = asker.take(np.zeros(n + 2, dtype=np.int64))
    return dataclasses.replace(copies, histories=copies.histories.keep(kept.ravel()))


def _ends(values: Choice | Span) -> tuple[Any, Any]:
    """The two ends of what a search may take."""
    return (values.low, values.high) if isinstance(values, Span) else (values.values[0], values.values[-1])


def _differ(one: Float32, other: Float32) -> bool:
    """Whether any score differs by more than rounding."""
    return bool(np.abs(one - other).max() > 1e-3 * np.abs(one).max())


def _everybody(log: InteractionLog) -> Askers:
    histories: Histories = log.histories
    return Askers(histories=histories, viewers=np.arange(len(histories), dtype=np.int64))


def _scores(model: Model, askers: Askers) -> Float32:
    scores = model.scores(askers)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    return scores


def _assert_same(found: Float32, expected: Float32) -> None:
    """The same within rounding: sums of floats may be added up in another order in another batch."""
    size = float(np.abs(expected).max(initial=0.0))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * size)
