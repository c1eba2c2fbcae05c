"""The scoreboard as one HTML file that needs nothing else: no network, no script, light and dark."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from matinee.report.charts import Dot, dot_charts
from matinee.report.frame import framed
from matinee.report.regions import HEAD, region_rows, region_verdicts
from matinee.report.table import cost_words, first_metrics

_MEANS = {
    "ndcg": "how high the choice stands",
    "recall": "how much is found",
    "rmse": "how far predictions are off, great misses above all",
    "mae": "how far predictions are off on average",
}
_COST_NAMES = ("fit, CPU", "search, CPU", "memory", "an answer", "electricity")


def scoreboard_page(board: Mapping[str, Any]) -> str:
    """The report of a table.

    Args:
        board: the JSON of `compare`; every word in it is escaped.
    """
    metric = first_metrics(board)[0]
    rows = [row for row in board["recommenders"] if not row.get("error")]
    # Only numbers and text that their writer has escaped go in as markup.
    values = {
        "board": board,
        "k": board["at"][0] if board["at"] else None,
        "metric": metric,
        "rows": rows,
        "failed": [row for row in board["recommenders"] if row.get("error")],
        "charts": _charts(board, rows),
        "metrics": _metrics(board),
        "costs": [(row["name"], cost_words(row)) for row in rows],
        "cost_names": _COST_NAMES,
        "pairs": _pairs(board, metric),
        "newcomers": [row for row in rows if row.get("newcomers")],
        "newcomer_metrics": first_metrics(board),
        "regions": region_rows(board),
        "region_head": HEAD,
        "region_verdicts": region_verdicts(board),
        "tries": [(row["name"], row["tries"]) for row in rows if row["tries"]],
        "settings": [(row["name"], settings_words(row["settings"])) for row in rows],
        "settings_words": settings_words,
    }
    return framed("scoreboard.html", values)


def settings_words(settings: Mapping[str, Any]) -> str:
    """Settings as one line of `key=value`."""
    if not settings:
        return "no settings"
    return ", ".join(f"{key}={_value_words(value)}" for key, value in settings.items())


def _value_words(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)


def _metrics(board: Mapping[str, Any]) -> list[str]:
    if not board["at"]:
        return first_metrics(board)
    found = [f"{kind}@{k}" for k in board["at"] for kind in ("ndcg", "recall")]
    k = board["at"][0]
    return [*found, f"mrr@{k}", f"hit@{k}", f"coverage@{k}", f"novelty@{k}"]


def _charts(board: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The dot-and-interval charts of the first two metrics, best first: markup."""
    charts, values = [], not board["at"]
    for metric in first_metrics(board)[:2]:
        words = _MEANS[metric.partition("@")[0]]
        dots = [_dot(row["name"], row["metrics"].get(metric), board["chosen_on_validation"]) for row in rows]
        known = [dot for dot in dots if dot is not None]
        known.sort(key=lambda dot: dot.mean if values else -dot.mean)
        title = f"{metric}: {words}, with 95 % interval"
        # What is off by more or less than another never comes near 0: the axis need not hold it.
        charts.append(dot_charts(known, title, zero=not values))
    return charts


def _pairs(board: Mapping[str, Any], metric: str) -> dict[str, Any]:
    """The chosen one against every other: rows, and a chart of the differences."""
    rows = [pair for pair in board["pairs"] if pair["metric"] == metric and pair["p_holm"] is not None]
    rows.sort(key=lambda pair: pair["mean"] if metric == "rmse" else -pair["mean"])
    dots = [
        Dot(
            label=f"less {pair['b']}",
            mean=pair["mean"],
            low=pair["low"],
            high=pair["high"],
            strong=pair["p_holm"] < 0.05,
        )
        for pair in rows
    ]
    return {"rows": rows, "chart": dot_charts(dots, f"difference in {metric}, with 95 % interval")}


def _dot(name: str, interval: Mapping[str, Any] | None, chosen: str | None) -> Dot | None:
    if not interval or interval["mean"] is None:
        return None
    return Dot(
        label=name,
        mean=interval["mean"],
        low=interval["low"],
        high=interval["high"],
        strong=name == chosen,
    )
