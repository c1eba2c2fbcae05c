"""The scoreboard: every recommender, its metrics with intervals, its cost, paired differences, a verdict."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matinee.core.errors import InputError
from matinee.core.statistics import Interval, bootstrap_means, holm, interval_of, sign_flip_p
from matinee.core.types import Float64
from matinee.evaluate.aim import Aim, aim_of
from matinee.evaluate.evidence import Evidence, read
from matinee.evaluate.verdict import Findings, verdict

if TYPE_CHECKING:
    import pandas as pd

COSTS = ("fit_cpu_s", "search_cpu_s", "fit_wall_s", "fit_dollars", "answer_ms", "peak_rss_mb")


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is known of one recommender.

    Attributes:
        name: its name.
        settings: every setting of the fit that was scored.
        evidence: what the test came to; None where it failed.
        newcomers: what the test came to for viewers without a past; None where there are none.
        validation: the aim's metric on validation, such as ndcg@10 or rmse; NaN where there is none.
        costs: each of `COSTS`.
        tries: what the search tried: settings, value on validation, CPU-seconds, error.
        error: why it failed, one sentence; else empty.
        note: what it said about its fit, such as a setting that this log cannot use.
    """

    name: str
    settings: Mapping[str, Any]
    evidence: Evidence | None = None
    newcomers: Evidence | None = None
    validation: float = math.nan
    costs: Mapping[str, float] = field(default_factory=dict)
    tries: Sequence[Mapping[str, Any]] = ()
    error: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Scoreboard:
    """A judged table.

    Attributes:
        facts: the JSON of `compare`, as plain values.
        evidence: recommender -> sums by viewer, for statistics of one's own; not part of the JSON.
    """

    facts: Mapping[str, Any]
    evidence: Mapping[str, Evidence] = field(default_factory=dict, repr=False)

    @property
    def verdict(self) -> str:
        """The verdict, in words."""
        return str(self.facts["verdict"])

    @property
    def chosen(self) -> str | None:
        """The recommender that validation chose."""
        name: str | None = self.facts["chosen_on_validation"]
        return name

    def to_json(self) -> dict[str, Any]:
        """The JSON of `compare`: plain values, null for what is no number."""
        plain: dict[str, Any] = _plain(self.facts)
        return plain

    def to_pandas(self) -> pd.DataFrame:
        """One row a recommender: means, bounds (`ndcg@10 low`), costs.

        Raises:
            InputError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise InputError("A pandas frame needs pandas: pip install pandas") from error
        rows = []
        for one in self.facts["recommenders"]:
            row = {"name": one["name"]}
            for metric, interval in one["metrics"].items():
                row[metric] = interval["mean"]
                row[f"{metric} low"], row[f"{metric} high"] = interval["low"], interval["high"]
            rows.append(row | {cost: one.get(cost) for cost in COSTS} | {"error": one.get("error")})
        return pd.DataFrame(rows)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the self-contained report."""
        from matinee.report.page import scoreboard_page

        Path(path).write_text(scoreboard_page(self.to_json()), encoding="utf-8")


def make_scoreboard(
    about: Mapping[str, Any], rows: Sequence[Row], *, at: Sequence[int], seed: int = 0
) -> Scoreboard:
    """Put a table together: intervals, pairs, the verdict.

    Args:
        about: what is known of log and protocol: the other keys of the JSON; `target` tells what is judged.
        rows: the recommenders, in the table's order; their evidence has the same viewers.
        at: lengths of the list; the verdict speaks of the first.
        seed: seed of the draws.
    """
    aim = aim_of(about.get("target"), at)
    judged = [row for row in rows if row.evidence is not None]
    ranked = sorted(
        (row for row in judged if not math.isnan(row.validation)), key=lambda row: -aim.worth(row.validation)
    )
    # One alone is chosen without asking validation.
    ranking = [row.name for row in ranked] or [row.name for row in judged if len(judged) == 1]
    evidence = {row.name: row.evidence for row in judged if row.evidence is not None}
    intervals, drawn = intervals_of(evidence, seed)
    pairs = _pairs(evidence, drawn, ranking, aim.paired, seed)
    newcomers = {row.name: row.newcomers for row in judged if row.newcomers is not None}
    theirs = intervals_of(newcomers, seed)[0]
    facts = {
        **about,
        "tied_answers": evidence[ranking[0]].tied if ranking else 0.0,
        "recommenders": [_row_facts(row, intervals, theirs) for row in rows],
        "chosen_on_validation": ranking[0] if ranking else None,
        "pairs": pairs,
    }
    facts["verdict"] = verdict(_findings(facts, evidence, ranking, aim))
    return Scoreboard(facts=facts, evidence=evidence)


def intervals_of(
    evidence: Mapping[str, Evidence], seed: int
) -> tuple[dict[str, dict[str, Interval]], dict[str, Float64]]:
    """Every metric's interval, and the bootstrap means behind it, drawn alike for all recommenders."""
    if not evidence:
        return {}, {}
    first = next(iter(evidence.values()))
    table = np.concatenate([one.sums for one in evidence.values()], axis=1)
    if not first.counts.sum():
        return {name: {} for name in evidence}, {}
    means = np.split(bootstrap_means(table, first.counts, seed=seed), len(evidence), axis=1)
    drawn = dict(zip(evidence, means, strict=True))
    intervals = {}
    for name, one in evidence.items():
        intervals[name] = {
            metric: interval_of(one.mean(metric), read(metric, drawn[name][:, column]))
            for column, metric in enumerate(one.names)
        }
        # The share of the catalogue is a fact about these lists, not an estimate.
        for metric, share in one.coverage.items():
            intervals[name][metric] = Interval(mean=share, low=share, high=share)
    return intervals, drawn


def _pairs(
    evidence: Mapping[str, Evidence],
    drawn: Mapping[str, Float64],
    ranking: Sequence[str],
    metrics: Sequence[str],
    seed: int,
) -> list[dict[str, Any]]:
    """All paired differences in some metrics; what is tested of `rmse` are the squares behind it.

    `p_holm` is adjusted over the family "every other recommender against the chosen one", one family for each
    metric; whoever looks at several metrics tests several families.
    """
    if not drawn:
        return []
    names = list(ranking[:1]) + [name for name in evidence if name not in ranking[:1]]
    couples = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    if not couples:
        return []
    gaps = [evidence[a].column(metric) - evidence[b].column(metric) for metric in metrics for a, b in couples]
    # All in one call: the signs are drawn once.
    chances = sign_flip_p(np.stack(gaps, axis=1), seed=seed).reshape(len(metrics), len(couples))
    found = []
    for metric, p in zip(metrics, chances, strict=True):
        family = [place for place, (a, _) in enumerate(couples) if ranking and a == ranking[0]]
        adjusted = dict(zip(family, holm([float(p[place]) for place in family]), strict=True))
        column = list(evidence[names[0]].names).index(metric)
        for place, (a, b) in enumerate(couples):
            gap = interval_of(
                evidence[a].mean(metric) - evidence[b].mean(metric),
                read(metric, drawn[a][:, column]) - read(metric, drawn[b][:, column]),
            )
            found.append(
                {"a": a, "b": b, "metric": metric, **gap.to_json()}
                | {"p": float(p[place]), "p_holm": adjusted.get(place)}
            )
    return found


def _row_facts(
    row: Row, intervals: Mapping[str, Mapping[str, Interval]], newcomers: Mapping[str, Mapping[str, Interval]]
) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": row.name,
        "settings": dict(row.settings),
        "metrics": {metric: one.to_json() for metric, one in intervals.get(row.name, {}).items()},
        **{cost: row.costs.get(cost) for cost in COSTS},
        "validation": row.validation,
        "tied_answers": row.evidence.tied if row.evidence is not None else None,
        "tries": [dict(one) for one in row.tries],
    }
    if newcomers.get(row.name):
        facts["newcomers"] = {metric: one.to_json() for metric, one in newcomers[row.name].items()}
    return facts | {key: words for key, words in (("error", row.error), ("note", row.note)) if words}


def _findings(
    facts: Mapping[str, Any], evidence: Mapping[str, Evidence], ranking: Sequence[str], aim: Aim
) -> Findings:
    k = 0 if aim.values else aim.at[0]
    queries = int(next(iter(evidence.values())).counts.sum()) if evidence else 0
    return Findings(
        targets=facts["targets"],
        viewers=facts["asked_viewers"],
        single=facts["targets"] == queries,
        k=k,
        held={} if aim.values else {name: one.mean(f"hit@{k}") for name, one in evidence.items()},
        errors={name: (one.mean("rmse"), one.mean("mae")) for name, one in evidence.items()}
        if aim.values
        else {},
        ranking=ranking,
        pairs={
            pair["b"]: (aim.worth(pair["mean"]), pair["p_holm"])
            for pair in facts["pairs"]
            if pair["metric"] == aim.metric and pair["p_holm"] is not None
        },
    )


def _plain(value: Any) -> Any:
    """Plain JSON values: no NaN, no tuples, no numbers of numpy."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return json.loads(json.dumps(value))
