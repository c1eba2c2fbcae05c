"""The side-by-side as a table: lines of Markdown from what `run.py` wrote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

HEAD = (
    "| peer | length | epochs | CPU-s an epoch | CPU-s a million events | CPU-s to .10 | .12 | .14 | .16 "
    "| CPU-s in all | peak MB | NDCG@10 | HR@10 | times our closed form: NDCG@10 |"
)


def peers_table(found: dict[str, Any]) -> Iterator[str]:
    """A row for each run, those that were only timed last."""
    yield HEAD
    yield "|" + "---|" * (HEAD.count("|") - 1)
    for run in sorted(found["runs"], key=lambda one: "extrapolated" in one):
        yield _row(run)


def _row(run: dict[str, Any]) -> str:
    name = f"| {run['peer']} {run['version']} | {_whole(run['length'])} "
    each = (run.get("epoch_cpu_s"), run.get("cpu_s_per_million_events"))
    costs = f"| {_whole(each[0])} | {_whole(each[1])} "
    if "extrapolated" in run:
        note = f"extrapolated: {run['extrapolated']}"
        return f"{name}| – {costs}| {note} | – | – | – | – | {run['peak_rss_mb']:,} | – | – | – |"
    if not run["epochs"]:
        return f"{name}| 0 " + "| – " * 11 + "|"
    levels = " | ".join(_whole(value) for value in run["cpu_s_to_ndcg@10"].values())
    best = run["best_on_validation"]
    product = run.get("times_closed_form")
    joined = _figure(product["test"]["ndcg@10"]) if product else "–"
    return (
        f"{name}| {run['epochs']} {costs}| {levels} | {_whole(run['cpu_s'])} | {run['peak_rss_mb']:,} "
        f"| {_figure(best['ndcg@10'])} | {_figure(best['hit@10'])} | {joined} |"
    )


def _whole(value: float | str | None) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:,.0f}"


def _figure(found: dict[str, float]) -> str:
    mean, low, high = (f"{found[name]:.4f}".lstrip("0") for name in ("mean", "low", "high"))
    return f"{mean} [{low} {high}]"
