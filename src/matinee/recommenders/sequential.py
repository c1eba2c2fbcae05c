"""A causal transformer over a viewer's history, trained to foretell every next event.

Kang and McAuley 2018 (SASRec) with what has since proved to matter: a softmax over the whole catalogue
instead of one negative (Klenitskiy and Vasilev 2023), item vectors that start from what is watched near what
(start_vectors.py), attention that decays with distance from the first step (Press et al. 2022), one dropout
mask a history, weights averaged along the way. It stops when events held back from the fit (held_out.py) are
no longer foretold better. Answers come from `matinee.answers.network`, without torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from matinee.answers.model import Model, context_of, model_of
from matinee.answers.network import NetworkScorer
from matinee.core.errors import MissingExtra, SettingsError
from matinee.core.memory import require
from matinee.core.promise import Log, Needs, Part
from matinee.core.run import Run
from matinee.core.seeds import generator
from matinee.core.settings import config_values, make_config
from matinee.core.space import Choice, Space, Span
from matinee.recommenders.ease import UNORDERED
from matinee.recommenders.held_out import HeldOut, hold_out
from matinee.recommenders.start_vectors import start_vectors

POSITIONS = ("distance", "steps", "places", "none")
STARTS = ("svd", "random")
_RANGES: tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...] = (
    (("hidden", "longest", "passes", "batch_events"), lambda found: found >= 1, "at least 1"),
    (("layers", "last", "patience"), lambda found: found >= 0, "at least 0"),
    (("negatives",), lambda found: found is None or found >= 0, "0 or more, or none"),
    (("dropout", "item_dropout", "smoothing", "average"), lambda found: 0.0 <= found < 1.0, "0 to under 1"),
    (("temperature", "rate"), lambda found: found > 0.0, "above 0"),
)
# Larger catalogues are learnt against drawn items: a softmax over all of them would take most of the time.
_WHOLE_CATALOGUE = 50_000
_DRAWN = 2_048


@dataclass(frozen=True, kw_only=True)
class SequentialConfig:
    """Settings of `sequential`.

    Attributes:
        width: numbers of an item's vector; more tells finer tastes apart and costs in proportion.
        layers: blocks of attention and feed-forward; more looks at combinations of events.
        decays: how fast each attention head forgets, one rate between 0 and 1 for each head; nearer 1 looks
            further back. Their number is that of the heads.
        positions: what attention knows of distance: distance (the decays), steps (learnt for each distance),
            places (learnt vectors, as SASRec), none.
        times: whether attention also learns how much time lies between events, where the log has times.
        gated: blocks with gates and SwiGLU (LiGR) instead of plain ones.
        hidden: width of the hidden layers, in widths.
        longest: events of a history that are read; more looks further back and costs in proportion.
        dropout: share of each layer's features dropped in training; more holds small logs back from rote.
        item_dropout: the same of the item vectors that come in.
        start: item vectors start from what is watched near what (svd), or at random.
        negatives: items that each event is told from: 0: all; none: all of up to 50,000, else 2,048 drawn.
        temperature: less makes the same vectors surer.
        smoothing: share of each target that is spread over all items; more is less sure.
        last: only so many last events of a window are foretold; 0: all.
        passes: most passes over the log.
        rate: the highest learning rate.
        batch_events: events that a step learns from.
        average: how slowly the averaged weights, which answer, follow the learnt ones; 0: at once.
        patience: passes without a better answer on held-out events until it stops; 0: never.
    """

    width: int = 64
    layers: int = 2
    decays: tuple[float, ...] = (0.6, 0.95)
    positions: str = "distance"
    times: bool = False
    gated: bool = False
    hidden: int = 4
    longest: int = 200
    dropout: float = 0.2
    item_dropout: float = 0.2
    start: str = "svd"
    negatives: int | None = None
    temperature: float = 1.0
    smoothing: float = 0.0
    last: int = 0
    passes: int = 12
    rate: float = 0.003
    batch_events: int = 4096
    average: float = 0.99
    patience: int = 3

    def __post_init__(self) -> None:
        """Refuse what is no network, or learns nothing."""
        _check(self)


class Sequential:
    """What is watched next, by attention over what was watched before.

    Args:
        settings: fields of `SequentialConfig` that differ from its defaults.
    """

    name = "sequential"
    Config = SequentialConfig
    trains: ClassVar[bool] = True
    extra: ClassVar[str] = "network"
    space: ClassVar[Space] = {
        "width": Choice((32, 64, 96, 128)),
        "layers": Choice((1, 2, 3)),
        "decays": Choice(((0.9,), (0.6, 0.95), (0.8, 0.98), (0.5, 0.8, 0.95, 0.99))),
        "positions": Choice(("distance", "steps", "places")),
        "gated": Choice((False, True)),
        "longest": Choice((50, 100, 200)),
        "dropout": Span(low=0.0, high=0.6),
        "item_dropout": Span(low=0.0, high=0.6),
        "smoothing": Choice((0.0, 0.1)),
        "temperature": Span(low=0.3, high=2.0, log=True),
        "passes": Choice((8, 12, 16, 24)),
        "rate": Span(low=5e-4, high=1e-2, log=True),
        "batch_events": Choice((1024, 2048, 4096)),
    }

    def __init__(self, **settings: Any) -> None:
        self.config = make_config(SequentialConfig, settings, self.name)

    def needs(self, log: Log) -> Needs:
        """Predict what a fit will take; loads no torch."""
        from matinee.recommenders.network_cost import network_needs

        return network_needs(self.config, log)

    def fit(self, log: Log, *, seed: int = 0, run: Run | None = None) -> Model:
        """Fit on a log.

        Raises:
            TooLarge: the fit would need more memory than there is.
            MissingExtra: torch is not installed.
            Stopped: the run was asked to stop.
        """
        held = hold_out(log, seed)
        return model_of(self.name, config_values(self.config), self.part(log, held, seed, run or Run()), log)

    def part(self, log: Log, held: HeldOut, seed: int, run: Run) -> Part:
        """The network fitted on all but what is held out."""
        needed = self.needs(log).memory_bytes
        require(needed, f"sequential over {log.n_items:,} items", "set a smaller width or batch_events")
        try:
            from matinee.recommenders.network_fit import fit_network
        except ImportError as error:
            raise MissingExtra("sequential", self.extra) from error
        return fit_network(self.config, log, held, seed, run)


def settings_of(config: SequentialConfig, log: Log) -> dict[str, Any]:
    """What the scorer needs beside tensors."""
    settings = config_values(config) | {"heads": len(config.decays), "ordered": log.ordered}
    return settings if log.ordered else settings | {"note": UNORDERED}


def drawn_negatives(config: SequentialConfig, n_items: int) -> int:
    """Items drawn for each step; 0: all are looked at."""
    if config.negatives is not None:
        return min(config.negatives, n_items)
    return _DRAWN if n_items > _WHOLE_CATALOGUE else 0


def scorer_of(part: Part, log: Log) -> NetworkScorer:
    """What answers for a part."""
    return NetworkScorer(part, context_of(log))


def start_of(config: SequentialConfig, log: Log, seed: int) -> np.ndarray[Any, Any]:
    """Item vectors to start from: float32, shape (items, width)."""
    near = np.zeros((log.n_items, config.width), np.float32)
    if config.start == "svd":
        near = start_vectors(log.histories, log.n_items, config.width, ordered=log.ordered, seed=seed)
    # An item that nobody watched near another one, and every item of a random start, points anywhere.
    lacking = ~near.any(axis=1)
    random = generator(seed, "item vectors")
    near[lacking] = random.standard_normal((int(lacking.sum()), config.width), dtype=np.float32)
    near[lacking] *= np.float32(config.width**-0.5) * np.float32(1.0 if config.start == "random" else 0.1)
    return near


def _check(config: SequentialConfig) -> None:
    """Refuse a setting out of its range."""
    for name, known in (("positions", POSITIONS), ("start", STARTS)):
        if getattr(config, name) not in known:
            raise _needs(config, name, f"one of {', '.join(known)}")
    if not config.decays or not all(0.0 < decay < 1.0 for decay in config.decays):
        raise _needs(config, "decays", "rates between 0 and 1")
    if config.width < 1 or config.width % len(config.decays):
        raise _needs(config, "width", f"a number that its {len(config.decays)} heads share evenly")
    for names, fine, words in _RANGES:
        for name in names:
            if not fine(getattr(config, name)):
                raise _needs(config, name, words)


def _needs(config: SequentialConfig, name: str, what: str) -> SettingsError:
    return SettingsError(f"sequential needs {name} of {what}, found {getattr(config, name)}.")
