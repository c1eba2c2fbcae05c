"""Values predicted by a Bayesian timeSVD++: biases, factors, implicit feedback and time, averaged over draws.

The model is that of `matinee.answers.values`. It joins SVD++ (Koren 2008, "Factorization meets the
neighborhood") on both sides (who rated an item tells of the item, what a viewer rated tells of the viewer)
with the time of timeSVD++ (Koren 2009, "Collaborative filtering with temporal dynamics"): an item's bias in
each era of the log, and a mood of each sitting of a viewer. Nothing is tuned by gradient: everything, the
strength of every pull included, is drawn from its posterior by Gibbs sampling, and predictions are averaged
over the draws (Salakhutdinov and Mnih 2008; Rendle, Zhang and Koren 2019, "On the difficulty of evaluating
baselines", who found such a model the best of its kind).

A draw keeps the items' vectors and the viewers' prior; a viewer's own vector is solved when they ask.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from matinee.answers.model import Model, model_of
from matinee.core.errors import SettingsError
from matinee.core.memory import require
from matinee.core.promise import Log, Needs, Part
from matinee.core.seeds import generator
from matinee.core.settings import config_values, make_config
from matinee.core.space import Choice, Space
from matinee.core.types import Float64
from matinee.recommenders.rated import Rated, rated_of, require_values
from matinee.recommenders.rating_sides import Side, facts_of, side_of

# Gamma priors of precisions: a guess that counts as two observations.
_GUESS = 2.0


@dataclass(frozen=True, kw_only=True)
class RatingConfig:
    """Settings of `Rating`.

    Attributes:
        factors: numbers per item and viewer; more tells finer tastes apart and costs their square.
        warm_up: passes before the first draw is kept; more starts from a better place.
        draws: draws that are averaged; more predicts better, and is that much larger.
        apart: passes from one kept draw to the next; more makes the draws differ more.
        axes: principal axes of who rated what at all; 0 leaves implicit feedback out.
        pause_minutes: a longer pause ends a sitting, whose ratings share a mood; 0 leaves moods out.
            Not used where the log has no times.
        eras: equal stretches of the log's time, in each of which an item has a bias of its own; 1 leaves
            that out. Not used where the log has no times.
        caution: standard deviations over the draws that are taken off a score when items are ranked; more
            keeps items of which little is known down. Predicted values stay as they are.
    """

    factors: int = 16
    warm_up: int = 20
    draws: int = 20
    apart: int = 4
    axes: int = 100
    pause_minutes: float = 1.0
    eras: int = 1
    caution: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what draws nothing."""
        for name in ("factors", "draws", "apart", "eras"):
            if getattr(self, name) < 1:
                raise SettingsError(f"rating needs {name} of at least 1, found {getattr(self, name)}.")
        for name in ("warm_up", "axes", "pause_minutes", "caution"):
            if getattr(self, name) < 0:
                raise SettingsError(f"rating needs {name} of at least 0, found {getattr(self, name)}.")


class Rating:
    """Predicts the value itself."""

    name = "rating"
    predicts = "value"
    Config = RatingConfig
    space: ClassVar[Space] = {
        "factors": Choice((8, 16, 24, 32)),
        "axes": Choice((0, 30, 100, 200)),
        "pause_minutes": Choice((0.0, 1.0, 5.0, 60.0, 1440.0)),
        "eras": Choice((1, 4, 16)),
    }

    def __init__(self, **settings: Any) -> None:
        self.config = make_config(RatingConfig, settings, self.name)

    def needs(self, log: Log) -> Needs:
        """Predict what a fit will take."""
        config, events = self.config, len(log.histories.items)
        width, rows = config.factors + 1, len(log.histories) + log.n_items
        passes = config.warm_up + config.draws * config.apart
        kept = 4 * config.draws * width * log.n_items
        memory = 120 * events + 8 * rows * (4 * width + 2 * config.axes) + 2 * kept + 2**27
        flops = passes * (4.0 * events * width**2 + rows * width**3)
        return Needs(memory_bytes=int(memory), cpu_s=flops / 2e9 + passes * (2e-5 * rows + 2e-7 * events))

    def fit(self, log: Log, *, seed: int = 0) -> Model:
        """Fit on a log.

        Raises:
            SettingsError: no event of the log brings a value.
            TooLarge: the fit would need more memory than there is.
        """
        require_values(log, self.name)
        config = self.config
        require(self.needs(log).memory_bytes, f"rating with {config.draws} draws", "set fewer draws or axes")
        rated = rated_of(log, self.name, pause_minutes=config.pause_minutes, eras=config.eras)
        chain = _Chain(rated, config, generator(seed, self.name))
        kept = _Kept()
        for step in range(config.warm_up + config.draws * config.apart):
            chain.turn()
            if step >= config.warm_up and (step - config.warm_up + 1) % config.apart == 0:
                kept.add(chain)
        settings = {**config_values(config), **rated.units}
        part = Part(kind="values", settings=settings, tensors=kept.tensors(chain))
        return model_of(self.name, config_values(config), part, log)


class _Chain:
    """A Gibbs sampler over everything that the model does not know."""

    def __init__(self, rated: Rated, config: RatingConfig, random: np.random.Generator) -> None:
        self.rated, self.random = rated, random
        width, axes = config.factors + 1, config.axes
        shape = rated.n_viewers, rated.n_items
        seeds = [int(one) for one in random.integers(2**31, size=2)]
        by_viewer = facts_of(rated.viewers, rated.items, shape, axes, seeds[0]) if axes else None
        by_item = facts_of(rated.items, rated.viewers, shape[::-1], axes, seeds[1]) if axes else None
        self.viewers = side_of(rated.viewers, rated.items, shape[0], width, by_viewer)
        self.items = side_of(rated.items, rated.viewers, shape[1], width, by_item)
        self.items.vectors = 0.1 * random.standard_normal(self.items.vectors.shape)
        self.viewers.vectors = 0.1 * random.standard_normal(self.viewers.vectors.shape)
        self.noise, self.moods = 1.0, _Shared(rated.sittings)
        eras = int(rated.eras.max(initial=0)) + 1
        self.eras = _Shared(rated.items * eras + rated.eras if eras > 1 else None, rated.n_items * eras)

    def turn(self) -> None:
        """Draw everything once, each given the rest."""
        rated, random = self.rated, self.random
        self.items.draw_prior(random)
        self.viewers.draw_prior(random)
        left = rated.values - self.moods.of_each - self.eras.of_each
        self.viewers.draw_vectors(
            self.items.vectors, left - self.items.vectors[rated.items, 0], self.noise, random
        )
        self.items.draw_vectors(
            self.viewers.vectors, left - self.viewers.vectors[rated.viewers, 0], self.noise, random
        )
        told = rated.values - _told(self.viewers, self.items, rated)
        self.moods.draw(told - self.eras.of_each, self.noise, random)
        self.eras.draw(told - self.moods.of_each, self.noise, random)
        told -= self.moods.of_each + self.eras.of_each
        self.noise = float(random.gamma(_GUESS / 2 + len(rated) / 2, 2.0 / (_GUESS + float(told @ told))))


class _Shared:
    """Something that some ratings share, such as the mood of a sitting: a number for each group of them."""

    def __init__(self, groups: NDArray[np.int64] | None, n: int = 0) -> None:
        self.groups = groups
        self.counts = np.zeros(0) if groups is None else np.bincount(groups, minlength=n)
        self.numbers = np.zeros(len(self.counts))
        self.of_each: Any = 0.0
        # Its pull to zero: at first as strong as twenty ratings that differ as much as any.
        self.precision = 20.0

    def draw(self, left: Float64, noise: float, random: np.random.Generator) -> None:
        """Draw the numbers, and then their precision."""
        if self.groups is None:
            return
        heft = noise * self.counts + self.precision
        means = noise * np.bincount(self.groups, weights=left, minlength=len(heft)) / heft
        self.numbers = means + random.standard_normal(len(heft)) / np.sqrt(heft)
        size = float(self.numbers @ self.numbers)
        self.precision = float(random.gamma(_GUESS / 2 + len(heft) / 2, 2.0 / (0.1 + size)))
        self.of_each = self.numbers[self.groups]


@dataclass
class _Kept:
    """The draws that predictions are averaged over."""

    lists: dict[str, list[Any]] = field(default_factory=dict)

    def add(self, chain: _Chain) -> None:
        """Keep what the chain holds now."""
        viewers, items = chain.viewers, chain.items
        found = {
            "items": np.where((np.diff(items.offsets) > 0)[:, None], items.vectors, items.mean + items.shift),
            "stranger": items.mean,
            "means": viewers.mean,
            "precisions": viewers.precision,
            "noise": chain.noise,
            "moods": chain.moods.precision,
            "eras": chain.eras.numbers,
            "links": viewers.links,
        }
        for name, one in found.items():
            self.lists.setdefault(name, []).append(np.array(one, dtype=np.float32))

    def tensors(self, chain: _Chain) -> dict[str, NDArray[Any]]:
        """What an answer needs."""
        found = {name: np.stack(draws) for name, draws in self.lists.items()}
        found["items"] = np.ascontiguousarray(found["items"].transpose(1, 0, 2))
        if chain.moods.groups is None:
            del found["moods"]
        if chain.eras.groups is None:
            del found["eras"]
        else:
            found["eras"] = found["eras"].mean(axis=0).reshape(chain.rated.n_items, -1)
        if chain.viewers.facts is None:
            del found["links"]
        else:
            found["axes"] = chain.viewers.facts.axes.astype(np.float32)
        return found


def _told(viewers: Side, items: Side, rated: Rated) -> Float64:
    """What the vectors of both sides say of every rating: float64, shape (ratings,)."""
    theirs, its = viewers.vectors[rated.viewers], items.vectors[rated.items]
    return np.asarray(theirs[:, 0] + its[:, 0] + np.einsum("nd,nd->n", theirs[:, 1:], its[:, 1:]))
