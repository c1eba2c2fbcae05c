"""The settings of `sequential`, what they may be, and what of them an answer needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from matinee.core.errors import SettingsError
from matinee.core.promise import Log
from matinee.core.settings import config_values
from matinee.recommenders.ease import UNORDERED
from matinee.recommenders.network_content import told_of
from matinee.recommenders.network_context import has_kinds, has_noes, has_regions, has_values

POSITIONS = ("distance", "steps", "places", "none")
STARTS = ("svd", "random")
_RANGES: tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...] = (
    (("hidden", "longest", "passes"), lambda found: found >= 1, "at least 1"),
    (("batch_events",), lambda found: found is None or found >= 1, "at least 1, or none"),
    (("layers", "last", "patience"), lambda found: found >= 0, "at least 0"),
    (("negatives",), lambda found: found is None or found >= 0, "0 or more, or none"),
    (("content",), lambda found: found is None or found >= 0.0, "at least 0, or none"),
    (("smoothing", "average", "id_dropout"), lambda found: 0.0 <= found < 1.0, "0 to under 1"),
    (("dropout", "item_dropout"), lambda found: found is None or 0.0 <= found < 1.0, "0 to under 1, or none"),
    (("noes",), lambda found: found >= 0.0, "at least 0"),
    (("temperature", "rate"), lambda found: found > 0.0, "above 0"),
)
# Larger catalogues are learnt against drawn items: a softmax over all of them would take most of the time.
_WHOLE_CATALOGUE = 50_000
_DRAWN = 2_048
# What vectors by content are bounded to where nothing else is said: items' vectors are seldom longer.
_BOUND = 2.0
# Events of a mean history from which on its beginning is told. Of the seven that Beauty has, foretelling the
# first takes a seventh of what is learnt, and the others suffer: .0760 on validation, without it .0774.
_LONG = 20


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
        gated: blocks with gates and SwiGLU (LiGR) instead of plain ones; a fifth dearer, and better.
        hidden: width of the hidden layers, in widths.
        longest: events of a history that are read; more looks further back and costs in proportion.
        dropout: share of each layer's features dropped in training; more holds small logs back from rote;
            none: less, the more events an item has, from .45 down to .05.
        item_dropout: the same of the item vectors that come in; none: that of
            the layers, and .05 more.
        start: item vectors start from what is watched near what (svd), or at random.
        negatives: items that each event is told from: 0: all; none: all of up to 50,000, else 2,048 drawn.
        temperature: less makes the same vectors surer.
        smoothing: share of each target that is spread over all items; more is less sure.
        last: only so many last events of a window are foretold; 0: all.
        passes: most passes over the log.
        rate: the highest learning rate.
        batch_events: events that a step learns from; none: a 150th of the log's, 64 to 4,096.
        average: how slowly the averaged weights, which answer, follow the learnt ones; 0: at once.
        patience: passes without a better answer on held-out events until it stops; 0: never.
        opening: whether the beginning of a history is an event of its own, so that what newcomers watch
            first is told from what is watched later; none: where viewers have 20 events or more on average.
        content: the longest that the part of an item's vector may be which comes from what it is (words of
            its texts, genres and other categories, its vector of `--vectors`); 0: none does; none: 2 where
            the table of items knows some that nobody watched, else 0.
        id_dropout: with content, share of the items that a step knows by their content alone; more ranks
            what nobody watched better, and what many watched worse.
        kinds: whether events also tell of what kind they are; none: where the log has several.
        values: whether events also tell how much they count or were rated, where the log has values.
        gaps: whether events also tell how long the pause before them was, where the log has times.
        regions: whether what is liked where viewers are is learnt, where their table says it; a newcomer of
            whom no more is known then gets that region's answer (an opening comes with it).
        noes: what an item that was turned down teaches, in events; more sinks such items further.
    """

    width: int = 64
    layers: int = 2
    decays: tuple[float, ...] = (0.6, 0.95)
    positions: str = "distance"
    times: bool = False
    gated: bool = True
    hidden: int = 4
    longest: int = 200
    dropout: float | None = None
    item_dropout: float | None = None
    start: str = "svd"
    negatives: int | None = None
    temperature: float = 1.0
    smoothing: float = 0.0
    last: int = 0
    passes: int = 7
    rate: float = 0.01
    batch_events: int | None = None
    average: float = 0.99
    patience: int = 3
    opening: bool | None = None
    content: float | None = None
    id_dropout: float = 0.1
    kinds: bool | None = None
    values: bool = False
    gaps: bool = False
    regions: bool = False
    noes: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no network, or learns nothing."""
        _check(self)


def resolved(config: SequentialConfig, log: Log) -> SequentialConfig:
    """The settings with what the log decides filled in."""
    events = len(log.histories.items)
    watched = max(1, int(np.count_nonzero(np.bincount(log.histories.items, minlength=log.n_items))))
    dropout = config.dropout
    if dropout is None:
        # Chosen on validation of ML-1M (289 events an item: .05) and Beauty (11: .3).
        dropout = round(float(np.clip(0.47 - 0.073 * np.log(max(events, 1) / watched), 0.05, 0.45)), 3)
    regions = config.regions and has_regions(log)
    return replace(
        config,
        dropout=dropout,
        item_dropout=min(dropout + 0.05, 0.99) if config.item_dropout is None else config.item_dropout,
        batch_events=config.batch_events or int(np.clip(events // 150, 64, 4096)),
        opening=_opening(config, log) or (regions and log.ordered),
        content=_content(config, log, watched),
        kinds=config.kinds is not False and has_kinds(log),
        values=config.values and has_values(log),
        gaps=config.gaps and log.ordered and log.histories.times is not None,
        regions=regions,
        noes=config.noes if has_noes(log) else 0.0,
    )


def _opening(config: SequentialConfig, log: Log) -> bool:
    """Whether histories begin with a vector of their own; never where they have no order."""
    if config.opening is None:
        viewers = int(np.count_nonzero(log.histories.lengths))
        return log.ordered and len(log.histories.items) >= _LONG * max(viewers, 1)
    return config.opening and log.ordered


def _content(config: SequentialConfig, log: Log, watched: int) -> float:
    """How long vectors by content may be; 0 where nothing is known of the items."""
    if config.content == 0.0 or told_of(log)[0] is None:
        return 0.0
    if config.content is None:
        return _BOUND if watched < log.n_items else 0.0
    return config.content


def settings_of(config: SequentialConfig, log: Log) -> dict[str, Any]:
    """What the scorer needs beside tensors."""
    settings = config_values(config) | {"heads": len(config.decays), "ordered": log.ordered}
    return settings if log.ordered else settings | {"note": UNORDERED}


def drawn_negatives(config: SequentialConfig, n_items: int) -> int:
    """Items drawn for each step; 0: all are looked at."""
    if config.negatives is not None:
        return min(config.negatives, n_items)
    return _DRAWN if n_items > _WHOLE_CATALOGUE else 0


def learnt_by_rows(config: SequentialConfig, n_items: int) -> bool:
    """Whether a step touches so few of the items that their moments are kept row by row (train/rows.py)."""
    return n_items > _WHOLE_CATALOGUE and drawn_negatives(config, n_items) > 0 and not config.noes


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
