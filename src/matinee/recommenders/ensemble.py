"""The sum of closed forms: what several of them find likely together.

score(i) = sum over partners p of w_p * (score_p(i) - mean_p) / deviation_p    (`matinee.answers.ensemble`)

For logs whose order says nothing, where a network has little to learn that closed forms miss. `ials` and
`ease`, or others, are fitted on the same log. Each event counts by its value where the log has values (how
often a song was heard), and `ials` takes the friends of a viewer as further events where the log has
friends. The weights are chosen on events held back from all parts: for that the parts are fitted without
them once, and then, those that count, with everything. docs/friends.md has what was tried, and what lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, ClassVar

import numpy as np

from matinee.answers.by_value import by_value
from matinee.answers.context import context_of
from matinee.answers.ensemble import EnsembleScorer
from matinee.answers.model import Model
from matinee.answers.scorers import make_scorer
from matinee.core.errors import SettingsError, unknown_name
from matinee.core.promise import Log, Needs, Part
from matinee.core.settings import config_values, make_config
from matinee.core.space import Space, Span
from matinee.core.types import Float64, Int64
from matinee.recommenders.ease import Ease, EaseConfig
from matinee.recommenders.friends import Friends, FriendsConfig
from matinee.recommenders.graph_filter import GraphFilter, GraphFilterConfig
from matinee.recommenders.held_out import HeldOut, hold_out, without
from matinee.recommenders.ials import Ials, IalsConfig
from matinee.recommenders.user_knn import UserKnn, UserKnnConfig

_PARTNERS: Mapping[str, type[Any]] = {
    "ials": Ials,
    "ease": Ease,
    "graph_filter": GraphFilter,
    "user_knn": UserKnn,
    "friends": Friends,
}
# Who compares people counts what they have, whatever its value.
_PEOPLE = frozenset({"user_knn", "friends"})
# Weights that are tried of each partner, the greatest of a set 1.
_WEIGHTS = (0.0, 0.25, 0.5, 1.0)
_MOST_PARTNERS = 3
# Scores looked at to choose the weights, and those of a batch.
_CELLS, _BATCH_CELLS = 5e7, 2**22


@dataclass(frozen=True, kw_only=True)
class EnsembleConfig:
    """Settings of `ensemble`; those of a part are written like `ials.factors`.

    Attributes:
        partners: who is joined, three at most: ials, ease, graph_filter, user_knn, friends. The first that
            counts says which items are alike.
        weights: how much each partner counts, in their order; none: chosen on events held back from the fit.
        values: how far an event's value counts in ials, ease and graph_filter; 0: all events alike. Not used
            where the log has no values.
        ials: settings of the partner of that name; its `friends` says what a friend weighs.
        ease: settings of the partner of that name.
        graph_filter: settings of the partner of that name.
        user_knn: settings of the partner of that name.
        friends: settings of the partner of that name.
    """

    partners: tuple[str, ...] = ("ials", "ease")
    weights: tuple[float, ...] = ()
    values: float = 1.0
    ials: IalsConfig = field(default_factory=lambda: IalsConfig(factors=128, ridge=0.007, friends=0.3))
    ease: EaseConfig = field(default_factory=lambda: EaseConfig(ridge=60.0, dropout=0.4))
    graph_filter: GraphFilterConfig = field(default_factory=GraphFilterConfig)
    user_knn: UserKnnConfig = field(default_factory=UserKnnConfig)
    friends: FriendsConfig = field(default_factory=FriendsConfig)

    def __post_init__(self) -> None:
        """Refuse partners that nobody knows, and weights that are not theirs."""
        unknown = [name for name in self.partners if name not in _PARTNERS]
        if unknown:
            raise unknown_name("partner of ensemble", unknown[0], _PARTNERS)
        if not 1 <= len(set(self.partners)) == len(self.partners) <= _MOST_PARTNERS:
            found = ", ".join(self.partners) or "none"
            raise SettingsError(f"ensemble joins one to {_MOST_PARTNERS} partners, each once; found {found}.")
        if self.weights and len(self.weights) != len(self.partners):
            raise SettingsError(
                f"ensemble needs {len(self.partners)} weights, one a partner, found {len(self.weights)}."
            )
        if self.weights and (min(self.weights) < 0.0 or max(self.weights) == 0.0):
            raise SettingsError(f"ensemble needs weights of at least 0, one above, found {self.weights}.")
        if self.values < 0.0:
            raise SettingsError(f"ensemble needs values of at least 0, found {self.values}.")


class Ensemble:
    """What closed forms find likely together.

    Args:
        settings: fields of `EnsembleConfig` that differ from its defaults, those of a part as
            `{"ials.factors": 32}` or `{"ials": {"factors": 32}}`.
    """

    name = "ensemble"
    Config = EnsembleConfig
    space: ClassVar[Space] = {
        "values": Span(low=0.0, high=2.0),
        "ials.friends": Span(low=0.03, high=1.0, log=True),
        "ials.unobserved": Ials.space["unobserved"],
        "ials.ridge": Ials.space["ridge"],
        "ease.ridge": Ease.space["ridge"],
        "ease.dropout": Span(low=0.0, high=0.6),
        "graph_filter.ideal": GraphFilter.space["ideal"],
        "graph_filter.popularity": GraphFilter.space["popularity"],
    }
    # Of a large and sparse catalogue the graph and the neighbours tell more: validation says, even where
    # nothing else is tried.
    variants: ClassVar[tuple[dict[str, Any], ...]] = ({"partners": ("graph_filter", "user_knn")},)

    def __init__(self, **settings: Any) -> None:
        self.config = _config(settings)

    def needs(self, log: Log) -> Needs:
        """Predict what a fit will take: the parts come one after the other, twice."""
        needs = [partner.needs(log) for partner in self._partners().values()]
        times = 1.0 if self.config.weights else 2.0
        scores = 4 * (len(needs) + 3) * max(_BATCH_CELLS, log.n_items)
        return Needs(
            memory_bytes=max(one.memory_bytes for one in needs) + 20 * len(log.histories.items) + scores,
            cpu_s=times * sum(one.cpu_s for one in needs) + (times - 1.0) * 20.0,
        )

    def fit(self, log: Log, *, seed: int = 0) -> Model:
        """Fit the parts and choose the weights.

        Raises:
            InputError: friends is a partner, and the log has none.
            TooLarge: a part would need more memory than there is.
        """
        weights, held_back = list(self.config.weights), None
        if not weights:
            held = hold_out(log, seed, share=1.0)
            weights, held_back = self._choose(without(log, held), held, seed)
        counting = {
            name: weight for name, weight in zip(self.config.partners, weights, strict=True) if weight
        }
        parts = self._parts(log, list(counting), seed)
        return Model(
            name=self.name,
            config=config_values(self.config),
            parts={self.name: self._joined(counting, parts, held_back), **parts},
            log=log,
            context=context_of(log),
        )

    def _partners(self) -> dict[str, Any]:
        return {
            name: _PARTNERS[name](**config_values(getattr(self.config, name)))
            for name in self.config.partners
        }

    def _parts(self, log: Log, names: Sequence[str], seed: int) -> dict[str, Part]:
        """Some of the partners, fitted."""
        valued: Any = log
        told = replace(valued, histories=by_value(log.histories, self.config.values))
        partners = self._partners()
        found = {}
        for name in names:
            fitted = partners[name].fit(log if name in _PEOPLE else told, seed=seed)
            # An ensemble takes in new events by a new fit, so what an update would need is not kept.
            found[name] = replace(fitted.parts[name], sums={})
        return found

    def _joined(self, weights: Mapping[str, float], parts: Mapping[str, Part], held_back: int | None) -> Part:
        """The part that answers.

        Args:
            weights: by partner, above 0.
            parts: the partners that are joined.
            held_back: on so many events the weights were chosen; None where they were given.
        """
        settings: dict[str, Any] = {
            "parts": list(weights),
            "weights": list(weights.values()),
            "values": self.config.values,
            "held_back": held_back,
        }
        notes = [part.settings["note"] for part in parts.values() if "note" in part.settings]
        alike = ["The parts weigh alike."] if held_back == 0 else []
        if notes[:1] + alike:
            settings["note"] = " ".join(notes[:1] + alike)
        return Part(kind="ensemble", settings=settings, tensors={})

    def _choose(self, taught: Log, held: HeldOut, seed: int) -> tuple[list[float], int]:
        """The weights by which the events held out are ranked best, and how many these were."""
        names = self.config.partners
        even = [1.0 for _ in names]
        if len(names) == 1 or not len(held):
            return even, 0
        parts = self._parts(taught, names, seed)
        whole = self._joined(dict(zip(names, even, strict=True)), parts, None)
        context = context_of(taught)
        scorer = EnsembleScorer(whole, context, [make_scorer(parts[name], context) for name in names])
        # Of equals the first is taken: where few are asked, the one that trusts all parts alike.
        sets = (weights for weights in product(_WEIGHTS, repeat=len(names)) if max(weights) == 1.0)
        tried = sorted(sets, key=_from_even)
        gains, asked = np.zeros(len(tried)), 0
        for rows in _some(held, taught.n_items):
            gains += _gains(held.of(rows), scorer, tried)
            asked += len(rows)
        return list(tried[int(np.argmax(gains))]), asked


def _from_even(weights: tuple[float, ...]) -> float:
    """How far weights lie from 1 each."""
    return sum(abs(weight - 1.0) for weight in weights)


def _some(held: HeldOut, n_items: int) -> list[Int64]:
    """Those who are asked, in batches; so many in all that choosing takes seconds; spread over all."""
    most = min(len(held), max(100, int(_CELLS / n_items)))
    size = max(1, int(_BATCH_CELLS / n_items))
    asked = np.arange(most) * len(held) // max(most, 1)
    return [asked[start : start + size] for start in range(0, len(asked), size)]


def _gains(held: HeldOut, scorer: EnsembleScorer, tried: Sequence[tuple[float, ...]]) -> Float64:
    """Summed ndcg@10 of each set of weights: float64, shape (sets,)."""
    said = scorer.each(held.askers)
    found = []
    for weights in tried:
        joined = np.zeros_like(said[0])
        for weight, scores in zip(weights, said, strict=True):
            if weight:
                joined += np.float32(weight) * scores
        found.append(held.gains(joined).sum())
    return np.array(found)


def _config(settings: Mapping[str, Any]) -> EnsembleConfig:
    """The settings of the whole, from plain values.

    Raises:
        SettingsError: a setting that nobody knows, or that does not fit.
    """
    classes = {name: cls.Config for name, cls in _PARTNERS.items()}
    own: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {name: {} for name in classes}
    for key, value in settings.items():
        part, dot, rest = key.partition(".")
        if part in inner and dot:
            inner[part][rest] = value
        elif part in inner and isinstance(value, Mapping):
            inner[part] |= value
        elif part in inner and isinstance(value, classes[part]):
            inner[part] |= config_values(value)
        elif part in inner:
            raise SettingsError(f"Settings of a part are written like {part}.KEY=VALUE, found {key}={value}.")
        else:
            own[key] = value
    usual = config_values(EnsembleConfig())
    made = {
        name: make_config(cls, usual[name] | inner[name], f"ensemble.{name}") for name, cls in classes.items()
    }
    return make_config(EnsembleConfig, made | own, "ensemble")
