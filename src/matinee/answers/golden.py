"""Golden answers: queries with the answers that a bundle gave when it was written, asked again at load.

Hashes say that the bytes are the same; golden answers say that this machine and this version read them as
they were meant. The queries are made up from the catalogue, so that they give nobody's history away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np

from matinee.answers.regions import RegionsScorer
from matinee.answers.top import top_k
from matinee.core.errors import BundleError
from matinee.core.promise import Scorer
from matinee.core.seeds import generator, shuffle_keys
from matinee.core.types import Float32, histories_of, newcomers

QUERIES = 8
# Of the same queries, so many are asked of each region's own model.
_OF_REGION = 2
_K = 10
# Of a very large catalogue the scores of all queries at once take more memory than any answer does.
_TOGETHER = 2
# Scores are compared to this share of the answer's largest: other machines round and add up differently.
_TOLERANCE = 1e-3


def golden_of(scorer: Scorer, popularity: Float32, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The golden queries with their answers, those of each region's own model included.

    Args:
        scorer: what answers.
        popularity: float32, shape (items,): which items have been watched.
        settings: those of the part that answers: of a model of values, they say its scale.
    """
    queries, n_items = golden_queries(popularity), len(popularity)
    told = golden_values(queries, (settings["low"], settings["high"])) if "high" in settings else None
    found = golden_answers(scorer, queries, n_items, told)
    for region in scorer.regions if isinstance(scorer, RegionsScorer) else ():
        answers = golden_answers(_asked(scorer, region), queries[:_OF_REGION], n_items)
        found += [{**one, "region": region} for one in answers]
    return found


def golden_queries(popularity: Float32) -> list[list[int]]:
    """Histories of one to eight items, drawn among those that have been watched: lists of item codes."""
    watched = np.flatnonzero(popularity > 0)
    if not len(watched):
        return []
    random = generator(0, "golden", len(popularity))
    return [[int(code) for code in random.choice(watched, size=1 + n)] for n in range(QUERIES)]


def golden_values(queries: Sequence[Sequence[int]], scale: tuple[float, float]) -> list[list[float]]:
    """What a model of values is told of each item of each query: numbers drawn from the log's scale."""
    random = generator(0, "golden values")
    return [[round(float(one), 3) for one in random.uniform(*scale, len(query))] for query in queries]


def golden_answers(
    scorer: Scorer,
    queries: Sequence[Sequence[int]],
    n_items: int,
    values: Sequence[Sequence[float]] | None = None,
) -> list[dict[str, Any]]:
    """Each query with the codes and scores of its best ten items."""
    if not queries:
        return []
    asked: list[dict[str, Any]] = [{"history": list(query)} for query in queries]
    for one, told in zip(asked, values or (), strict=False):
        one["values"] = list(told)
    codes, scores = top_k(_scores(scorer, asked), min(_K, n_items), shuffle_keys(n_items))
    return [
        {**one, "items": row.tolist(), "scores": [float(score) for score in best]}
        for one, row, best in zip(asked, codes, scores, strict=True)
    ]


def check_golden(scorer: Scorer, golden: Sequence[Mapping[str, Any]], place: str) -> None:
    """Ask the golden queries again.

    Raises:
        BundleError: an answer differs by more than rounding.
    """
    number = 0
    for region, ones in groupby(golden, key=lambda one: one.get("region")):
        asked, queries = _asked(scorer, region), list(ones)
        for start in range(0, len(queries), _TOGETHER):
            some = queries[start : start + _TOGETHER]
            for scores, one in zip(_scores(asked, some), some, strict=True):
                number += 1
                if _differs(scores, one):
                    raise BundleError(
                        f"{place}: query {number} is answered otherwise than when the bundle was "
                        "written; fit it again on this machine."
                    )


def _asked(scorer: Scorer, region: str | None) -> Scorer:
    """What answers the queries of a region; of none: what answers everybody."""
    return scorer.own(region) if region is not None and isinstance(scorer, RegionsScorer) else scorer


def _differs(scores: Float32, golden: Mapping[str, Any]) -> bool:
    """Whether a query's answer is another one by more than rounding."""
    told = np.asarray(golden["scores"], dtype=np.float64)
    found = scores[np.asarray(golden["items"], dtype=np.int64)]
    room = _TOLERANCE * max(float(np.abs(told).max()), 1e-9)
    # Nothing else may have overtaken the last of the ten either.
    better = np.delete(scores, golden["items"])
    return bool(np.abs(found - told).max() > room or (len(better) and better.max() > told.min() + room))


def _scores(scorer: Scorer, queries: Sequence[Mapping[str, Any]]) -> Float32:
    histories = histories_of([one["history"] for one in queries])
    if all("values" in one for one in queries):
        told = [value for one in queries for value in one["values"]]
        histories = replace(histories, values=np.array(told, dtype=np.float32))
    return np.asarray(scorer.score(newcomers(histories)), dtype=np.float32)
