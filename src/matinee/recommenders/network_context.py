"""What `sequential` reads and learns beside which items were watched: kinds, values, gaps, regions, noes.

A setting counts only where the log has something to tell: two kinds, two values, times, two regions, noes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.answers.event_context import GAP, GAPS, KIND, VALUE, gap_codes, kind_codes, value_codes
from matinee.answers.region_vectors import region_codes
from matinee.core.promise import Log, Part
from matinee.core.types import Bool, Float32, Histories, Int64
from matinee.data.homes import column_of_homes, homes_of
from matinee.recommenders.held_out import HeldOut, without
from matinee.train.beside import Beside, Noes

# Values are told apart in so many steps at most.
_STEPS = 8
# A region of fewer viewers is not known: its vector would be of these viewers.
_FEWEST_VIEWERS = 20


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a fit reads beside items.

    Attributes:
        sizes: by sort of code, how many there are.
        regions: names of the regions that are known.
        settings: what the scorer needs to read the same.
        beside: the arrays.
    """

    sizes: Mapping[str, int] = field(default_factory=dict)
    regions: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    beside: Beside | None = None

    def codes(self, histories: Histories) -> dict[str, NDArray[np.int8]]:
        """What else is known of each event, by sort: int8, shape (events,)."""
        n = len(histories.items)
        found: dict[str, NDArray[Any]] = {}
        if KIND in self.sizes:
            found[KIND] = kind_codes(histories.kinds, n, self.sizes[KIND] - 1)
        if VALUE in self.sizes:
            edges = np.asarray(self.settings["value_edges"], dtype=np.float32)
            found[VALUE] = value_codes(histories.values, n, edges)
        if GAP in self.sizes:
            found[GAP] = gap_codes(histories.times, histories.offsets[:-1], n)
        return {name: codes.astype(np.int8) for name, codes in found.items()}

    def beside_of(self, histories: Histories) -> Beside | None:
        """What is known beside items of other histories; of regions and noes nothing."""
        return Beside(codes=self.codes(histories)) if self.sizes else None

    def arrays(self) -> list[NDArray[Any]]:
        """All that is learnt from: for the key of checkpoints."""
        if self.beside is None:
            return []
        noes = self.beside.noes
        found: list[NDArray[Any]] = list(self.beside.codes.values())
        if self.beside.regions is not None:
            found.append(self.beside.regions)
        return found if noes is None else [*found, noes.items, noes.starts]


def has_kinds(log: Log) -> bool:
    """Whether events are of different kinds."""
    kinds = log.histories.kinds
    return kinds is not None and len(kinds) > 0 and bool((kinds != kinds[0]).any())


def has_values(log: Log) -> bool:
    """Whether events bring different values."""
    values = log.histories.values
    if values is None:
        return False
    told = values[~np.isnan(values)]
    return len(told) > 0 and bool((told != told[0]).any())


def has_regions(log: Log) -> bool:
    """Whether viewers are known to be in different regions."""
    return len(_regions(log)) > 1


def has_noes(log: Log) -> bool:
    """Whether anything was turned down."""
    return log.negatives is not None and len(log.negatives.values) > 0


def context_of_log(config: Any, log: Log, held: HeldOut, before: Mapping[str, Any] | None = None) -> Context:
    """What a fit reads beside items.

    Args:
        config: of `sequential`, with what the log decides filled in.
        log: the whole log.
        held: what is held out of it.
        before: settings of the network that is gone on from, whose values stay parted as they were; or None.
    """
    histories = without(log, held).histories
    sizes: dict[str, int] = {}
    settings: dict[str, Any] = {}
    if config.kinds:
        # By the log's names, where it has any: one that nobody has used yet may come tomorrow.
        named = len(getattr(log, "kinds", ()))
        sizes[KIND] = max(named, int(np.asarray(log.histories.kinds).max()) + 1) + 1
    if config.values:
        settings["value_edges"] = before["value_edges"] if before else value_edges(histories).tolist()
        sizes[VALUE] = len(settings["value_edges"]) + 2
    if config.gaps:
        sizes[GAP] = GAPS
    names: list[str] = []
    regions = None
    if config.regions:
        names = _regions(log)
        settings["region_names"] = names
        regions = region_codes(names, getattr(log, "viewer_table", None))
    noes = noes_before(log, held) if config.noes else None
    if not sizes and regions is None and noes is None:
        return Context()
    found = Context(sizes=sizes, regions=tuple(names), settings=settings)
    return replace(found, beside=Beside(codes=found.codes(histories), regions=regions, noes=noes))


def why_read_anew(config: Any, part: Part, old: Any, log: Any) -> str:
    """Why a network that reads something beside items cannot go on to a log; empty where it can.

    Args:
        config: of `sequential`, with what the log decides filled in.
        part: the network.
        old: what it was fitted on.
        log: what is to be learnt.
    """
    for name in ("kinds", "values", "gaps"):
        if bool(getattr(config, name)) != bool(part.settings.get(name)):
            return f"what events bring beside their items ({name}) was not there before, or is no longer"
    if config.kinds and tuple(old.kinds) != tuple(log.kinds):
        return "the kinds of events are others than before"
    if config.regions or config.noes:
        return "regions and what was turned down are learnt by a fit from scratch only"
    return ""


def value_edges(histories: Histories) -> Float32:
    """What parts values into a few steps: float32, ascending."""
    values = np.asarray(histories.values, dtype=np.float32)
    told = values[~np.isnan(values)]
    steps = np.unique(told)
    if len(steps) > _STEPS:
        quantiles = np.quantile(told, np.arange(1, _STEPS) / _STEPS, method="higher")
        return np.unique(quantiles.astype(np.float32))
    return np.asarray((steps[1:] + steps[:-1]) / 2.0, dtype=np.float32)


def noes_before(log: Log, held: HeldOut) -> Noes:
    """What was turned down, each after the last event that its viewer had before; nothing of the future.

    Of a viewer of whom an event is held out, a no from then on is left out. Where noes have no dates they
    stand at the end of the history, without an item that was chosen after all.
    """
    negatives, histories = log.negatives, without(log, held).histories
    if negatives is None:
        raise ValueError("The log has no noes.")
    viewers = np.repeat(np.arange(len(negatives)), np.diff(negatives.offsets))
    dates = log.negative_times
    if dates is None or histories.times is None:
        places = histories.offsets[viewers + 1] - 1
        chosen = held.askers.viewers * log.n_items + held.targets
        known = ~np.isin(viewers * log.n_items + negatives.values, chosen)
    else:
        places = _last_before(histories, viewers, np.asarray(dates))
        known = np.asarray(dates) < _asked_at(log, held)[viewers]
    known &= places >= histories.offsets[viewers]
    places, items = places[known], negatives.values[known]
    order = np.argsort(places, kind="stable")
    counts = np.bincount(places, minlength=len(histories.items))
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
    return Noes(items=items[order], starts=starts)


def _last_before(histories: Histories, viewers: Int64, moments: Int64) -> Int64:
    """Each viewer's last event before a moment: its position, or one before the viewer's own."""
    times = np.asarray(histories.times)
    # By ranks, so that no product of viewer and time is beyond its range.
    ranks = np.unique(times)
    width = len(ranks) + 1
    events = histories.rows().astype(np.int64) * width + np.searchsorted(ranks, times)
    asked = viewers * width + np.searchsorted(ranks, moments)
    return np.searchsorted(events, asked) - 1


def _asked_at(log: Log, held: HeldOut) -> Int64:
    """When each viewer's first event that is held out happened: int64; the end of time where none is."""
    moments = np.full(len(log.histories), np.iinfo(np.int64).max)
    held_out = ~held.taught
    np.minimum.at(moments, log.histories.rows()[held_out], np.asarray(log.histories.times)[held_out])
    return moments


def _regions(log: Log) -> list[str]:
    """Names of the regions with viewers enough, in order."""
    table = getattr(log, "viewer_table", None)
    homes = homes_of(table, column_of_homes(table))
    names = homes.names
    counts = np.bincount(homes.codes[homes.codes >= 0], minlength=len(names))
    enough: Bool = counts >= _FEWEST_VIEWERS
    return sorted(name for name, there in zip(names, enough, strict=True) if there)
