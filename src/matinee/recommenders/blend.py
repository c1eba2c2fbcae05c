"""The product of the network and closed forms: what all of them find likely.

score(j) = log softmax(network)(j) + sum over partners p of w_p * log max(partner_p(j), floor_p)

`sequential`, `transitions` and `ials` are fitted apart, on the same log, and know different things: what
follows from a whole history, what follows from its last steps, and what a viewer likes at all. Their product
ranks better than any of them (a product of experts, Hinton 2002; Vancura and Kordik 2021, VASP, joins a
linear model and a network too). The weights are chosen on events held back from all parts (held_out.py): for
that `transitions` is fitted without them once, and then with everything, unless so few are held back that it
makes no difference. docs/blend.md has what other ways to join them came to.

Of an item that nobody watched the closed forms know nothing; where the network knows what it is,
cold_items.py chooses how far it is raised.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, ClassVar, cast

import numpy as np

from matinee.answers.context import context_of
from matinee.answers.model import Model
from matinee.answers.scorers import make_scorer
from matinee.core.errors import Stopped
from matinee.core.promise import Log, Needs, Part, Scorer
from matinee.core.run import Run, Step
from matinee.core.settings import config_values
from matinee.core.space import Space
from matinee.core.types import Float32, Int64
from matinee.recommenders.blend_settings import PARTNERS, BlendConfig, config_of
from matinee.recommenders.cold_items import choose_lift, strangers_of
from matinee.recommenders.held_out import HeldOut, hold_out, without
from matinee.recommenders.ials import Ials
from matinee.recommenders.network_warm import renamed, warm_of
from matinee.recommenders.sequential import Sequential
from matinee.recommenders.short_histories import RECENT, Short, choose_short, recent_part
from matinee.recommenders.transitions import Transitions
from matinee.recommenders.update import updated_part

# What a viewer likes at all does not hang on the last event: fitted once, without what is held out.
_ONCE = frozenset({"ials"})
# Where less than this share of all events is held back, nothing is fitted again to learn them too.
_LITTLE = 1e-3
# The network's share of a fit.
_TRAINING = 0.9
# Scores looked at to choose the weights: of fewer viewers where the catalogue is large.
_CELLS = 5e7


class Blend:
    """What the network and the closed forms find likely together.

    Args:
        settings: fields of `BlendConfig` that differ from its defaults, those of a part as
            `{"sequential.width": 32}` or `{"sequential": {"width": 32}}`.
    """

    name = "blend"
    Config = BlendConfig
    trains: ClassVar[bool] = True
    extra: ClassVar[str] = "network"
    # Rows whose fitted parts it takes where it finds them.
    looks_for: ClassVar[tuple[str, ...]] = ("sequential", "transitions")
    space: ClassVar[Space] = {
        **{f"sequential.{key}": values for key, values in Sequential.space.items()},
        **{f"transitions.{key}": values for key, values in Transitions.space.items()},
    }

    def __init__(self, **settings: Any) -> None:
        self.config = config_of(settings)
        # Some settings are looked at by their recommender only: it says now what it would say in a fit.
        self._network(), self._partners()

    def needs(self, log: Log) -> Needs:
        """Predict what a fit will take: the parts come one after the other, some partners twice."""
        network = self._network().needs(log)
        partners = {name: partner.needs(log) for name, partner in self._partners().items()}
        once = _fitted_once(partners, self._network().held(log, 0), log)
        return Needs(
            memory_bytes=max(network.memory_bytes, *(needs.memory_bytes for needs in partners.values()), 0),
            cpu_s=network.cpu_s
            + sum(needs.cpu_s * (1.0 if name in once else 2.0) for name, needs in partners.items()),
        )

    def fit(self, log: Log, *, seed: int = 0, run: Run | None = None) -> Model:
        """Fit the parts, then choose the weights.

        Raises:
            TooLarge: a part would need more memory than there is.
            MissingExtra: torch is not installed.
            Stopped: the run was asked to stop.
        """
        run = run or Run()
        held = self._network().held(log, seed)
        parts = {"sequential": self._network_part(log, held, seed, run)}
        run.tell(Step(share=_TRAINING, doing="closed forms"))
        _heed(run)
        partners, taught = self._partners(), without(log, held)
        once = {
            name: _taught_part(partners[name], taught, held, seed, run)
            for name in _fitted_once(partners, held, log)
        }
        weights, lift, short = self._choose(taught, held, parts | once, seed)
        parts |= {
            name: once.get(name) or self._kept(_partner_part(partner, log, seed, run))
            for name, partner in partners.items()
        }
        run.tell(Step(share=1.0, doing="joined"))
        joined = self._joined(weights, held, log.n_items, parts["sequential"].settings.get("note"))
        if lift is not None:
            joined = replace(joined, settings={**joined.settings, "lift": lift})
        if short is not None:
            joined = replace(joined, settings=short.told(joined.settings))
            parts |= {RECENT: recent_part(log, seed)} if short.joins_recent else {}
        return Model(
            name=self.name,
            config=config_values(self.config),
            parts={self.name: joined, **parts},
            log=log,
            context=context_of(log),
        )

    def update(self, model: Model, log: Log, *, seed: int = 0, run: Run | None = None) -> Model:
        """Go on from a fitted model to a log that has new events, with the weights that were chosen then.

        The network goes on from its weights, `transitions` from its sums, `ials` from its factors.

        Raises:
            TooLarge: a part would need more memory than there is.
            MissingExtra: torch is not installed.
            Stopped: the run was asked to stop.
        """
        run = run or Run()
        warm = warm_of(model.parts["sequential"], model.log, log)
        held = hold_out(log, seed, warm.fresh)
        network = self._network().part(log, held, seed, replace(run, tell=_scaled(run.tell)), warm)
        run.tell(Step(share=_TRAINING, doing="closed forms"))
        _heed(run)
        parts = {
            name: self._kept(_updated(partner, model, log, seed))
            for name, partner in self._partners().items()
        }
        run.tell(Step(share=1.0, doing="joined"))
        joined = model.parts[self.name]
        if RECENT in joined.settings["parts"]:
            parts[RECENT] = recent_part(log, seed)
        settings = {key: value for key, value in joined.settings.items() if key != "note"}
        if "note" in network.settings:
            settings["note"] = network.settings["note"]
        return Model(
            name=self.name,
            config=config_values(self.config),
            parts={self.name: replace(joined, settings=settings), "sequential": network, **parts},
            log=log,
            context=context_of(log),
        )

    def _kept(self, part: Part) -> Part:
        """A partner with the sums that an update needs, or without them."""
        return part if self.config.sums else replace(part, sums={})

    def _network(self) -> Sequential:
        return Sequential(**config_values(self.config.sequential))

    def _partners(self) -> dict[str, Any]:
        made = {name: PARTNERS[name][0] for name in self.config.partners}
        return {name: cls(**config_values(getattr(self.config, name))) for name, cls in made.items()}

    def _network_part(self, log: Log, held: HeldOut, seed: int, run: Run) -> Part:
        """The network, found where it was fitted on this log before."""
        values = config_values(self.config.sequential)
        found = run.kept.find("sequential", values, seed) if run.kept else None
        if found:
            return found[0]
        part = self._network().part(log, held, seed, replace(run, tell=_scaled(run.tell)))
        if run.kept:
            run.kept.keep("sequential", values, seed, part, {})
        return part

    def _joined(self, weights: list[float], held: HeldOut, n_items: int, note: str | None) -> Part:
        """The part that answers.

        Args:
            weights: of each partner.
            held: what is held out.
            n_items: size of the catalogue.
            note: what the network's fit says of itself.
        """
        names = self.config.partners
        given = bool(self.config.weights) or not names
        settings: dict[str, Any] = {
            "parts": ["sequential", *names],
            "floors": [PARTNERS[name][1] for name in names],
            "weights": [[weight] for weight in weights],
            "lengths": [],
            # So many events the weights were chosen on; none where they were given.
            "held_back": None if given else sum(len(rows) for rows in _some(held, n_items)),
        }
        alike = "" if given or len(held) else "The parts weigh alike."
        if note or alike:
            settings["note"] = " ".join(words for words in (note, alike) if words)
        return Part(kind="product", settings=settings, tensors={})

    def _choose(
        self, taught: Log, held: HeldOut, parts: Mapping[str, Part], seed: int
    ) -> tuple[list[float], float | None, Short | None]:
        """The weights, how far items that nobody watched are raised, and how short histories are joined.

        Nothing is known of such items, and short histories are joined as long ones are, where that is None.

        Args:
            taught: the log without what is held out.
            held: what is held out.
            parts: those that were fitted without it already; the others are fitted here.
            seed: of the fits.
        """
        names, given = self.config.partners, list(self.config.weights)
        strangers = strangers_of(parts["sequential"], taught, seed)
        if not len(held) or not names or (given and strangers is None):
            return given or [1.0 for _ in names], None, None
        fitted = [parts["sequential"]]
        for name, partner in self._partners().items():
            fitted.append(parts.get(name) or partner.fit(taught, seed=seed).parts[name])
        scorers = [make_scorer(part, context_of(taught)) for part in fitted]
        weights = given or self._best_weights(taught, held, scorers)
        joint = [(PARTNERS[name][1], weight) for name, weight in zip(names, weights, strict=True)]
        short = None if given or held.first is None else choose_short(taught, held.first, scorers, joint)
        if strangers is None:
            return weights, None, short
        batches = (held.of(rows) for rows in _some(held, taught.n_items))
        return weights, choose_lift(batches, scorers, joint, strangers), short

    def _best_weights(self, taught: Log, held: HeldOut, scorers: Sequence[Scorer]) -> list[float]:
        """The weights by which the events held out are ranked best."""
        names = self.config.partners
        # Of equals the first is taken: where few are asked, the one that trusts all parts alike.
        tried = sorted(product(*(PARTNERS[name][2] for name in names)), key=_from_even)
        floors = [PARTNERS[name][1] for name in names]
        gains = np.zeros(len(tried))
        for rows in _some(held, taught.n_items):
            gains += _gains(held.of(rows), scorers, floors, tried)
        return list(tried[int(np.argmax(gains))])


def _fitted_once(names: Iterable[str], held: HeldOut, log: Log) -> list[str]:
    """Which partners are fitted without what is held out, and never with it."""
    little = np.count_nonzero(~held.taught) < _LITTLE * len(log.histories.items)
    return [name for name in names if name in _ONCE or little]


def _scaled(tell: Callable[[Step], None]) -> Callable[[Step], None]:
    """Tell a step of the network as one of the whole fit."""
    return lambda step: tell(replace(step, share=_TRAINING * step.share))


def _heed(run: Run) -> None:
    """Stop between two parts where somebody asked for it.

    Raises:
        Stopped: somebody did.
    """
    if not run.should_stop():
        return
    where = "The fit of blend was stopped once its network was trained"
    if run.kept or run.checkpoints:
        raise Stopped(f"{where}, which is kept: the same fit goes on from there.")
    raise Stopped(f"{where}, and nothing of it was kept: give a checkpoint folder to be able to go on.")


def _from_even(weights: tuple[float, ...]) -> float:
    """How far weights lie from 1 each."""
    return sum(abs(weight - 1.0) for weight in weights)


def _partner_part(partner: Any, log: Log, seed: int, run: Run) -> Part:
    """A partner fitted on everything, found where it was fitted on this log before."""
    values = config_values(partner.config)
    found = run.kept.find(partner.name, values, seed) if run.kept else None
    if found:
        return found[0]
    _heed(run)
    part: Part = partner.fit(log, seed=seed).parts[partner.name]
    if run.kept:
        run.kept.keep(partner.name, values, seed, part, {})
    return part


def _taught_part(partner: Any, taught: Log, held: HeldOut, seed: int, run: Run) -> Part:
    """A partner fitted without what is held out, found where it was fitted so before."""
    without_them = hashlib.sha256(np.packbits(held.taught).tobytes()).hexdigest()[:16]
    name, values = f"{partner.name} of blend", {**config_values(partner.config), "without": without_them}
    found = run.kept.find(name, values, seed) if run.kept else None
    if found:
        return found[0]
    part: Part = replace(partner.fit(taught, seed=seed).parts[partner.name], sums={})
    if run.kept:
        run.kept.keep(name, values, seed, part, {})
    return part


def _updated(partner: Any, model: Model, log: Any, seed: int) -> Part:
    """A partner of a fitted model with the events of a log that are new."""
    old = model.parts[partner.name]
    if isinstance(partner, Transitions):
        return updated_part(old, config_values(partner.config), model.log, log)[0]
    return cast(Ials, partner).part(log, seed, start=renamed(old.tensors["items"], model.log, log))


def _some(held: HeldOut, n_items: int) -> list[Int64]:
    """Those who are asked, in batches; so many in all that choosing takes seconds.

    They are spread over all: those with the first codes often are those who came first.
    """
    most = min(len(held), max(100, int(_CELLS / n_items)))
    size = max(1, int(2**22 / n_items))
    asked = np.arange(most) * len(held) // max(most, 1)
    return [asked[start : start + size] for start in range(0, len(asked), size)]


def _gains(
    held: HeldOut, scorers: Sequence[Scorer], floors: Sequence[float], tried: Sequence[tuple[float, ...]]
) -> Float32:
    """Summed ndcg@10 of each set of weights: float64, shape (sets,)."""
    network, *partners = (np.array(scorer.score(held.askers)) for scorer in scorers)
    logs = [np.log(np.maximum(scores, floor)) for scores, floor in zip(partners, floors, strict=True)]
    found = []
    for weights in tried:
        joined = network.copy()
        for weight, chances in zip(weights, logs, strict=True):
            joined += np.float32(weight) * chances
        found.append(held.gains(joined).sum())
    return np.array(found)
