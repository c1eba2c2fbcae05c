"""The figures of the daily refresh as lines of Markdown: from the result of refresh.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def refresh_lines(found: dict[str, Any] | None) -> Iterator[str]:
    """The section on taking in a day's events."""
    if found is None:
        return
    days = found["days"]
    yield "## A day's events in a blend\n"
    who = "" if found["viewers"] is None else f" of {found['viewers']:,} viewers"
    yield (
        f"MovieLens-1M with times{who}: a blend fitted on what came before the .9 quantile "
        f"({found['events']:,} events, {found['first_fit_cpu_s']:.0f} CPU-s) takes in {len(days)} days of "
        "one event in a hundred, each as `matinee refresh` does: gone on from the last bundle to what came "
        "before the latest events, judged by these, gone on to everything, written; all but reading the log. "
        f"A fit from scratch on the same events takes {found['fit_cpu_s']:.0f} CPU-s.\n"
    )
    yield "| day | new events | CPU-s | load | judged fit | gate | last fit | write | gate: new less in use |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for number, day in enumerate(days, 1):
        steps = day["steps_cpu_s"]
        parts = " | ".join(
            f"{steps[name]:.1f}" for name in ("load", "judged_fit", "gate", "last_fit", "write")
        )
        yield f"| {number} | {day['new_events']:,} | {day['cpu_s']:.1f} | {parts} | {_gate(day)} |"
    yield ""
    asked = found["asked"]
    yield f"Asked for {asked['queries']:,} events of {asked['viewers']:,} viewers on the day after:\n"
    yield "| | ndcg@10 | recall@10 | ndcg@10 less scratch |"
    yield "|---|---|---|---|"
    for row in found["rows"]:
        less = row["ndcg@10 less scratch"]
        words = f"{less['mean']:+.4f} [{less['low']:+.4f} {less['high']:+.4f}]"
        yield (
            f"| {row['name']} | {_interval(row['ndcg@10'])} | {_interval(row['recall@10'])} "
            f"| {'' if row is found['rows'][-1] else words} |"
        )
    yield ""
    cost, loss, sizes = found["cost"], found["loss"], found["sizes"]
    yield (
        f"Bars: the dearest refresh at most {cost['bar']:.0%} of a fit's CPU-s, found {cost['share']:.1%}: "
        f"{_state(cost['reached'])}; ndcg@10 at most {loss['bar']:.0%} below the fit from scratch, found "
        f"{loss['share']:+.1%}: {_state(loss['reached'])}. The bundle takes {sizes['bundle_mb']:.0f} MB, "
        f"{sizes['sums_mb']:.0f} of them sums that only a refresh needs. `{found['command']}`\n"
    )


def _gate(day: dict[str, Any]) -> str:
    if day["judged"] is None:
        return "not judged: too few viewers"
    less = day["judged"]["difference"]
    words = f"{less['mean']:+.4f} [{less['low']:+.4f} {less['high']:+.4f}]"
    return f"{words}, refused" if day["refused"] else words


def _interval(found: dict[str, float]) -> str:
    return f"{found['mean']:.4f} [{found['low']:.4f} {found['high']:.4f}]"


def _state(reached: bool) -> str:
    return "reached" if reached else "**missed**"
