"""Settings chosen on one half of the viewers, judged on the other; ways compared viewer by viewer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from join.ways import Said, Way
from matinee.answers.network import log_totals
from matinee.core.promise import Scorer
from matinee.core.seeds import generator
from matinee.core.statistics import holm, sign_flip_p
from matinee.core.types import Bool, Float64, Int64
from matinee.data.queries import Queries
from matinee.recipes.spent import cpu_s
from matinee.recommenders.held_out import HeldOut

# Askers of a batch: their scores stay in a core's own cache.
_ASKERS = 128


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a way came to.

    Attributes:
        gains: ndcg@10 of each viewer by the settings that the other half chose: float64, shape (viewers,).
        chosen: the settings chosen on each half, one for each label.
    """

    gains: Float64
    chosen: list[list[tuple[Any, ...]]]


def halves_of(n: int, seed: int = 0) -> Bool:
    """Which half each viewer is in: bool, shape (n,)."""
    halves: Bool = generator(seed, "halves of viewers").permutation(n) < n // 2
    return halves


def gains_of(
    network: Scorer, partners: Mapping[str, Scorer], ways: Sequence[Way], queries: Queries
) -> tuple[list[Float64], dict[str, float]]:
    """ndcg@10 of every viewer by every setting of every way.

    Returns:
        For each way float64, shape (settings, viewers); and the CPU-seconds that each part took to answer.
    """
    gains = [np.empty((len(way.settings), len(queries))) for way in ways]
    spent = dict.fromkeys(["network", *partners], 0.0)
    for start in range(0, len(queries), _ASKERS):
        rows = np.arange(start, min(start + _ASKERS, len(queries)))
        held = held_of(queries, rows)
        said = _said(network, partners, held, spent)
        for way, found in zip(ways, gains, strict=True):
            for place, table in enumerate(way.tables(said)):
                found[place, rows] = held.gains(table)
    return gains, {name: round(taken, 1) for name, taken in spent.items()}


def held_of(queries: Queries, rows: Int64) -> HeldOut:
    """Some queries of one target each, as what judges scores."""
    return HeldOut(
        taught=np.zeros(0, np.bool_),
        askers=queries.askers(rows),
        targets=queries.targets.values[queries.targets.offsets[rows]],
        repeats=queries.repeats,
    )


def cross_fitted(way: Way, gains: Float64, halves: Bool) -> Found:
    """Choose on each half, judge on the other.

    Args:
        way: whose settings.
        gains: shape (settings, viewers).
        halves: bool, shape (viewers,).
    """
    labels = np.zeros(len(halves), np.int64) if way.labels is None else way.labels
    judged, chosen = np.empty(len(halves)), []
    for half in (False, True):
        picks = []
        for label in range(int(labels.max()) + 1):
            mine = labels == label
            best = int(np.argmax(gains[:, mine & (halves == half)].sum(axis=1)))
            judged[mine & (halves != half)] = gains[best, mine & (halves != half)]
            picks.append(way.settings[best])
        chosen.append(picks)
    return Found(gains=judged, chosen=chosen)


def rows_of(
    found: Mapping[str, Found], against: Mapping[str, str], **more: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """One row a way: its figure with a 95 % interval, and its difference to another way.

    Args:
        found: by the way's name.
        against: the name of the way that each is compared with, where it is.
        more: further columns: value by the way's name.
    """
    names = [name for name in found if name in against]
    gaps = np.stack([found[name].gains - found[against[name]].gains for name in names], axis=1)
    sure = dict(zip(names, holm([float(p) for p in sign_flip_p(gaps)]), strict=True))
    rows = []
    for name, one in found.items():
        row: dict[str, Any] = {"name": name, **_figure("ndcg@10", one.gains), "chosen": one.chosen}
        row["hit@10"] = round(float((one.gains > 0).mean()), 5)
        if name in against:
            gap = gaps[:, names.index(name)]
            row |= {"against": against[name], **_figure("difference", gap), "p_holm": sure[name]}
        rows.append(row | {column: values[name] for column, values in more.items() if name in values})
    return rows


def _said(network: Scorer, partners: Mapping[str, Scorer], held: HeldOut, spent: dict[str, float]) -> Said:
    """What the parts say of a batch; adds to what each has spent."""
    scores = {}
    for name, scorer in {"network": network, **partners}.items():
        begin = cpu_s()
        scores[name] = np.array(scorer.score(held.askers), dtype=np.float32)
        spent[name] += cpu_s() - begin
    logits = scores.pop("network")
    logits -= log_totals(logits)[:, None]
    return Said(network=logits, partners=scores)


def _figure(name: str, values: Float64) -> dict[str, float]:
    """A mean over viewers, and its standard error."""
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    return {name: round(float(values.mean()), 6), f"{name} se": round(error, 6)}
