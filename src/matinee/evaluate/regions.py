"""Regions on the scoreboard: each one's own model against the shared one, by its own viewers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from matinee.core.statistics import holm, interval_of, sign_flip_p
from matinee.evaluate.aim import Aim
from matinee.evaluate.evidence import Evidence
from matinee.evaluate.scoreboard import intervals_of
from matinee.evaluate.verdict import FEWEST_VIEWERS, LEVEL
from matinee.report.numbers import figure, p_words

OWN, SHARED = "own", "shared"
_ONE = {OWN: "its own", SHARED: "the shared"}
_OTHER = {OWN: "the shared one", SHARED: "its own"}


@dataclass(frozen=True, kw_only=True)
class Fits:
    """What is known of one recommender in one region.

    Attributes:
        name: the recommender.
        test: "own" and "shared" -> what the region's test queries came to; "own" only where it was fitted.
        validation: the same of the mean of the aim's metric on the region's validation queries.
        fit_cpu_s: CPU-seconds of the region's own fit; None where there is none.
        error: why the region's own fit failed, or empty.
    """

    name: str
    test: Mapping[str, Evidence] = field(default_factory=dict)
    validation: Mapping[str, float] = field(default_factory=dict)
    fit_cpu_s: float | None = None
    error: str = ""


def region_facts(
    about: Sequence[Mapping[str, Any]],
    fits: Sequence[Sequence[Fits]],
    aim: Aim,
    chosen: str | None,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """The JSON of a table's regions.

    `p_holm` is adjusted over all differences of the table: every recommender in every region.

    Args:
        about: of each region `region`, `viewers`, `events`, `asked` (validation viewers) and `why` (it has no
            model of its own; else empty).
        fits: of each region what is known of each recommender.
        aim: what is judged; validation chooses by its metric, and differences are tested in it.
        chosen: the recommender that the sentences speak of.
        seed: seed of the draws.
    """
    found = [
        {**row, "recommenders": [_facts(one, aim, seed) for one in ones]}
        for row, ones in zip(about, fits, strict=True)
    ]
    tested = [one["difference"] for row in found for one in row["recommenders"] if one["difference"]]
    for difference, adjusted in zip(tested, holm([one["p"] for one in tested]), strict=True):
        difference["p_holm"] = adjusted
    for row in found:
        one = next((one for one in row["recommenders"] if one["name"] == chosen), None)
        row["verdict"] = _verdict(row, one, aim.metric)
    return found


def _facts(fits: Fits, aim: Aim, seed: int) -> dict[str, Any]:
    intervals, drawn = intervals_of(fits.test, seed)
    counts = next((one.counts for one in fits.test.values()), np.zeros(0, np.int64))
    facts: dict[str, Any] = {
        "name": fits.name,
        "answers": _chosen(fits, aim),
        "asked_viewers": int(np.count_nonzero(counts)),
        "validation": dict(fits.validation),
        "fit_cpu_s": fits.fit_cpu_s,
        "difference": None,
        **{
            whose: {"metrics": {metric: one.to_json() for metric, one in intervals[whose].items()}}
            for whose in fits.test
        },
    }
    if fits.error:
        facts["error"] = fits.error
    if drawn and OWN in fits.test:
        own, shared = fits.test[OWN], fits.test[SHARED]
        column = list(own.names).index(aim.metric)
        gaps = (own.column(aim.metric) - shared.column(aim.metric))[:, None]
        mean = own.mean(aim.metric) - shared.mean(aim.metric)
        interval = interval_of(mean, drawn[OWN][:, column] - drawn[SHARED][:, column])
        facts["difference"] = {
            "metric": aim.metric,
            **interval.to_json(),
            "p": float(sign_flip_p(gaps, seed=seed)[0]),
        }
    return facts


def _chosen(fits: Fits, aim: Aim) -> str:
    """Which of the two validation chooses: its own where that is better, not where both are equal."""
    if OWN not in fits.validation:
        return SHARED
    own, shared = (aim.worth(fits.validation[whose]) for whose in (OWN, SHARED))
    return OWN if own > shared else SHARED


def _verdict(row: Mapping[str, Any], one: Mapping[str, Any] | None, metric: str) -> str:
    """A region in one sentence."""
    region = row["region"]
    if one is None:
        return f"{region}: no recommender was chosen."
    if one.get("error"):
        return f"{region}: the shared {one['name']}, for its own could not be fitted: {one['error']}"
    if row["why"]:
        return f"{region}: the shared {one['name']}, for {row['why']}."
    words = f"{region}: {_ONE[one['answers']]} {one['name']}, as validation chose"
    return f"{words}; {_tested(one, metric)}."


def _tested(one: Mapping[str, Any], metric: str) -> str:
    """What the test says of a region's choice."""
    answers, difference = one["answers"], one["difference"]
    if difference is None:
        return "the test asks nobody there"
    means = [figure(one[whose]["metrics"][metric]["mean"]) for whose in (OWN, SHARED)]
    mine, other = means if answers == OWN else means[::-1]
    words = f"on the test {metric} {mine}, {_OTHER[answers]} {other}"
    if one["asked_viewers"] < FEWEST_VIEWERS:
        return f"{words}: too few to tell, {one['asked_viewers']:,} viewers"
    chance = p_words(difference["p_holm"])
    if difference["p_holm"] >= LEVEL:
        return f"{words}: that may be chance ({chance})"
    better = (difference["mean"] > 0) == (answers == OWN)
    return f"{words}: {'better' if better else 'worse'} beyond chance ({chance})"
