"""The study screen: what a search for the best settings has tried and spent, while it runs and afterwards.

It reads `status.json` of the study's folder, which the search replaces whole with every change; what is in it
is the JSON of `matinee status`. The server needs nothing else of a search.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from matinee.core.errors import InputError
from matinee.report.charts import Dot, dot_charts
from matinee.report.numbers import counted, figure, money, percent, seconds
from matinee.serve.page.frame import Page, render
from matinee.serve.page.health import Fact
from matinee.serve.refusals import NotFound

STATUS = "status.json"
_MOST_BYTES = 64 * 2**20
# So many trials are listed, the newest; and so many of the best are drawn.
_LISTED, _DRAWN = 200, 12
# Whoever searches says something every second or so.
_SILENT_S = 60.0
_STATES = {"running": "It is running.", "done": "It is done.", "stopped": "It was stopped, and can go on."}


def routes(page: Page) -> list[Route]:
    """The study's screen."""

    async def screen(_request: Request) -> Response:
        if page.service.study is None:
            raise NotFound("No study is shown here: start the server with --study FOLDER.")
        told, age_s = await run_in_threadpool(read_status, page.service.study)
        return render("study.html", study_values(told, age_s))

    return [page.get("/study", screen)]


def read_status(folder: Path) -> tuple[dict[str, Any], float]:
    """What a study says of itself, and how many seconds ago it said so.

    Raises:
        InputError: it has not said anything, or what is there was not written by a search.
    """
    path = folder / STATUS
    try:
        found = path.stat()
        if found.st_size > _MOST_BYTES:
            raise InputError(f"{path} is larger than any study's: it was not written by matinee tune.")
        told = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{folder.name} has no {STATUS} yet: its search has not begun.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    if not isinstance(told, dict) or not isinstance(told.get("trials"), list):
        raise InputError(f"{path} holds no trials: it was not written by matinee tune.")
    return told, max(0.0, time.time() - found.st_mtime)


def study_values(told: Mapping[str, Any], age_s: float = 0.0) -> dict[str, Any]:
    """What the screen shows.

    Args:
        told: the JSON of `matinee status`.
        age_s: how old it is.
    """
    best = told.get("best") or {}
    done = [trial for trial in told["trials"] if trial.get("value") is not None]
    done.sort(key=lambda trial: -trial["value"])
    dots = [
        Dot(
            label=f"trial {trial['id']}",
            mean=trial["value"],
            low=trial["value"],
            high=trial["value"],
            strong=trial["id"] == best.get("id"),
        )
        for trial in done[:_DRAWN]
    ]
    return {
        "here": "study",
        "name": Path(str(told.get("study", ""))).name,
        "lives": told.get("state") == "running",
        "verdict": _verdict(told, best, age_s),
        "facts": list(_facts(told)),
        "best": best,
        "chart": dot_charts(dots, "value of the best trials", zero=False) if len(dots) > 1 else "",
        "trials": [_row(trial, best) for trial in reversed(told["trials"][-_LISTED:])],
        "older": max(0, len(told["trials"]) - _LISTED),
    }


def _verdict(told: Mapping[str, Any], best: Mapping[str, Any], age_s: float) -> str:
    words = _STATES.get(str(told.get("state")), "")
    if told.get("state") == "running" and age_s > _SILENT_S:
        words = f"Nothing has been heard of it for {seconds(age_s)}; matinee tune --resume goes on."
    if not best:
        return f"{words} No trial has come to its end yet."
    return f"{words} The best so far is trial {best['id']}, with {figure(best['value'], 4)}."


def _facts(told: Mapping[str, Any]) -> list[Fact]:
    """Money and time, spent against what there is; and how the trials went."""
    facts = []
    for kind, words in (("dollars", money), ("s", seconds)):
        budget, spent = told.get(f"budget_{kind}"), told.get(f"spent_{kind}")
        if spent is None or (budget is None and kind == "s"):
            continue
        of = "No limit." if budget is None else f"Of {words(budget)}: {percent(spent / max(budget, 1e-12))}."
        if kind == "dollars" and told.get("reserved_dollars"):
            of += f" {money(told['reserved_dollars'])} more is reserved for what runs."
        facts.append(Fact(name="spent" if kind == "dollars" else "time", value=words(spent), words=of))
    trials = told["trials"]
    states = {state: sum(trial.get("state") == state for trial in trials) for state in _WORDS}
    many = ", ".join(f"{n} {_WORDS[state]}" for state, n in states.items() if n)
    facts.append(Fact(name="trials", value=f"{len(trials):,}", words=f"{many.capitalize()}." if many else ""))
    lost = sum(trial.get("lost_dollars") or 0.0 for trial in trials)
    if lost:
        facts.append(Fact(name="lost", value=money(lost), words="Paid for work that was broken off."))
    return facts


_WORDS = {
    "done": "done",
    "running": "running",
    "waiting": "waiting",
    "stopped": "stopped early",
    "preempted": "interrupted",
    "failed": "failed",
}


def _row(trial: Mapping[str, Any], best: Mapping[str, Any]) -> dict[str, Any]:
    settings = trial.get("settings") or {}
    return {
        "id": trial.get("id"),
        "strong": trial.get("id") == best.get("id"),
        "state": _WORDS.get(str(trial.get("state")), str(trial.get("state"))),
        "value": figure(trial.get("value"), 4),
        "steps": f"{trial.get('steps') or 0:g}",
        "dollars": money(trial.get("dollars") or 0.0),
        "attempts": counted(trial.get("attempts") or 0, "attempt"),
        "settings": ", ".join(f"{name} {_short(value)}" for name, value in settings.items()),
        "region": trial.get("region"),
    }


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
