"""The section of docs/figures.md on friends and logs without order, from results/friends.json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_TITLES = {
    "lastfm": "Last.fm with friends, random-holdout 8:1:1, means of five splits",
    "gowalla": "Gowalla, its given split",
}


def friends_lines(found: dict[str, Any] | None) -> Iterator[str]:
    """The section's lines; none where nothing was measured."""
    if found is None:
        return
    yield "## Friends, and logs without order\n"
    yield (
        "`ensemble` adds up closed forms in standard units. Last.fm: default settings, which were chosen on "
        "the first split's validation; fitted on train alone, the weights chosen inside each fit; 95 % "
        "intervals over listeners and splits; each test scored once. Plays are counted where a row does not "
        "say otherwise; published figures on this set know friends, and no plays. Gowalla: which closed "
        "forms are joined was chosen on validation carved from train. `python benchmarks/friends.py`\n"
    )
    for name, title in _TITLES.items():
        rows = found[name] if isinstance(found[name], list) else [found[name]]
        if any(rows):
            yield f"### {title}\n"
            yield from _table([row for row in rows if row], found["bars"][name])


def _table(rows: list[dict[str, Any]], bars: dict[str, Any]) -> Iterator[str]:
    metrics = [f"recall@{bars['at']}", f"ndcg@{bars['at']}"]
    yield f"| | {metrics[0]} | {metrics[1]} | fit CPU-s | weights |"
    yield "|---|---|---|---|---|"
    for row in rows:
        cells = " | ".join(_interval(row["metrics"][metric]) for metric in metrics)
        yield f"| {row['row']} | {cells} | {_cpu_s(row):.0f} | {_weights(row)} |"
    yield ""
    yield "| bar | | figure | |"
    yield "|---|---|---|---|"
    ours = next(row for row in rows if row["row"] == "ensemble")
    for place, word in enumerate(("bar", "stretch")):
        for metric, key in zip(metrics, ("recall", "ndcg"), strict=True):
            mean, least = ours["metrics"][metric]["mean"], bars[key][place]
            state = "reached" if mean >= least else "**missed**"
            yield f"| {metric} of ensemble, {word} | {_number(least)} | {_number(mean)} | {state} |"
    yield ""


def _cpu_s(row: dict[str, Any]) -> float:
    splits = row.get("splits")
    return float(sum(one["fit_cpu_s"] for one in splits) / len(splits) if splits else row["fit_cpu_s"])


def _weights(row: dict[str, Any]) -> str:
    """What each part weighs, split by split where there are several."""
    found = [one["weights"] for one in row.get("splits", [row])]
    if not found[0]:
        return "–"
    names = list(dict.fromkeys(name for one in found for name in one))
    return "; ".join(f"{name} " + ", ".join(f"{one.get(name, 0.0):g}" for one in found) for name in names)


def _interval(found: dict[str, float]) -> str:
    return f"{_number(found['mean'])} [{_number(found['low'])} {_number(found['high'])}]"


def _number(value: float) -> str:
    return f"{value:.4f}".lstrip("0")
