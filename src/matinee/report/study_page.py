"""A study as one HTML file that needs nothing else: its history, what mattered, what it cost, its ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matinee.report.charts import Dot, dot_charts
from matinee.report.frame import framed
from matinee.report.numbers import figure, money
from matinee.report.page import settings_words
from matinee.report.plots import Mark, plot

_SHOWN = 12
_WHYS = {"given": "given", "start": "drawn", "model": "chosen by the model", "repeat": "run again"}
_STATES = {"stopped": "stopped early", "preempted": "interrupted"}


def study_page(told: Mapping[str, Any], matters: Mapping[str, float]) -> str:
    """The report of a study.

    Args:
        told: the JSON of `status`; every word in it is escaped.
        matters: the share of the variance that each setting brings.
    """
    trials = told["trials"]
    done = [trial for trial in trials if trial["value"] is not None]
    best = told.get("best") or {}
    front = frontier(done)
    # Only numbers and text that their writer has escaped go in as markup.
    values = {
        "told": told,
        "verdict": _verdict(told, done),
        "best": best,
        "history": _history(trials, best),
        "cost": _cost(done, front),
        "front": [(trial["id"], money(trial["dollars"]), figure(trial["value"], 4)) for trial in front],
        "matters": _matters(matters),
        "rows": [_row(trial, best) for trial in trials],
        "lost": sum(trial["lost_dollars"] for trial in trials),
        "trials_dollars": sum(trial["dollars"] for trial in trials),
        "asking": told.get("asking_dollars") or 0.0,
        "settings_words": settings_words,
    }
    return framed("study.html", values)


def frontier(done: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The trials that none is both cheaper and better than, the cheapest first."""
    found: list[Mapping[str, Any]] = []
    for trial in sorted(done, key=lambda one: (one["dollars"], -one["value"])):
        if not found or trial["value"] > found[-1]["value"]:
            found.append(trial)
    return found


def _verdict(told: Mapping[str, Any], done: Sequence[Mapping[str, Any]]) -> str:
    best = told.get("best")
    if not best:
        return "No trial came to its end."
    name = told.get("metric") or "The value"
    words = f"{name} {figure(best['value'], 4)} at best, by trial {best['id']}"
    first = told["trials"][0]
    if first["why"] == "given" and first["value"] is not None and first["id"] != best["id"]:
        words += f", where the first settings have {figure(first['value'], 4)}"
    return (
        f"{words}: {len(done)} of {len(told['trials'])} trials are done, for {money(told['spent_dollars'])}."
    )


def _history(trials: Sequence[Mapping[str, Any]], best: Mapping[str, Any]) -> str:
    """Each value over the dollars that were spent by then, and the best so far."""
    marks, steps, spent, top = [], [], 0.0, float("-inf")
    for trial in trials:
        spent += trial["dollars"]
        if trial["value"] is None:
            continue
        marks.append(_mark(trial, spent, trial["id"] == best.get("id")))
        if trial["value"] > top:
            top = trial["value"]
            steps.append((spent, top))
    if steps:
        steps.append((spent, top))
    return plot(marks, "dollars spent by then; the line is the best so far", "value", steps=steps)


def _cost(done: Sequence[Mapping[str, Any]], front: Sequence[Mapping[str, Any]]) -> str:
    """What each trial cost, and what it was worth."""
    chosen = {trial["id"] for trial in front}
    paid = [trial for trial in done if trial["dollars"] > 0]
    marks = [_mark(trial, trial["dollars"], trial["id"] in chosen) for trial in paid]
    steps = [(trial["dollars"], trial["value"]) for trial in front if trial["dollars"] > 0]
    title = "dollars of the trial; coloured: none is both cheaper and better"
    return plot(marks, title, "value", steps=steps, log=True)


def _mark(trial: Mapping[str, Any], x: float, strong: bool) -> Mark:
    words = f"trial {trial['id']}: {figure(trial['value'], 4)}, {settings_words(trial['settings'])}"
    return Mark(x=x, y=trial["value"], words=words, strong=strong)


def _matters(matters: Mapping[str, float]) -> str:
    dots = [
        Dot(label=name, mean=share, low=0.0, high=share, strong=place == 0)
        for place, (name, share) in enumerate(list(matters.items())[:_SHOWN])
    ]
    return dot_charts(dots, "share of the value's variance over the space", short="share of the variance")


def _row(trial: Mapping[str, Any], best: Mapping[str, Any]) -> dict[str, Any]:
    state = str(trial["state"])
    return {
        "id": trial["id"],
        "best": trial["id"] == best.get("id"),
        "region": trial.get("region"),
        "state": _STATES.get(state, state),
        "why": f"trial {trial['repeats']} again"
        if trial["repeats"]
        else _WHYS.get(trial["why"], trial["why"]),
        "value": figure(trial["value"], 4),
        "steps": f"{trial['steps']:g}",
        "seconds": trial["seconds"],
        "dollars": trial["dollars"],
        "lost": trial["lost_dollars"],
        "attempts": trial["attempts"],
        "settings": settings_words(trial["settings"]),
        "reason": trial["reason"] or "",
    }
