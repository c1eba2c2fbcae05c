"""Experiments on the scoreboard: what runs and what it says, and the forms that begin and end one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from matinee.report.charts import Dot
from matinee.serve import conduct
from matinee.serve.ab import Result, ShadowResult, experiments_of
from matinee.serve.asking import DEFAULT_ALIAS
from matinee.serve.experiments import Experiment
from matinee.serve.page.frame import Handler, Page, field_of, form_of, see
from matinee.serve.page.posters import shown
from matinee.serve.recommendation_id import LONGEST_NAME
from matinee.serve.records import LONGEST_ID
from matinee.serve.refusals import Refusal

# What the arms of a split are called that the page begins: sentences read well with them.
NOW, NEW = "now", "new"
# Answers bear "name/arm" in their ids.
LONGEST = LONGEST_NAME - len(f"/{NOW}")
# Whoever looks waits so long at most for what is being counted.
_WAIT_S = 1.0
_FIELDS = ("kind", "name", "alias", "first", "second", "share", "shadow")
_PERCENT = re.compile(r"[1-9][0-9]?")
_SHARE = "50"


def routes(page: Page, scoreboard: Handler) -> list[Route]:
    """What the forms are sent to.

    Args:
        page: what the screens share.
        scoreboard: the screen that shows a form again, with what was wrong with it in the request's state.
    """

    async def begin(request: Request) -> Response:
        form = await form_of(request)
        sent = {name: field_of(form, name, LONGEST_ID).strip() for name in _FIELDS}
        try:
            await conduct.begin(page.service, _wanted(sent))
        except Refusal as refusal:
            request.state.wrong, request.state.sent = refusal, sent
            return await scoreboard(request)
        return see("/scoreboard#experiments")

    async def end(request: Request) -> Response:
        await conduct.end(page.service, field_of(await form_of(request), "name", LONGEST_ID))
        return see("/scoreboard#experiments")

    return [page.post("/experiments", begin), page.post("/experiments/end", end)]


async def experiment_values(page: Page, request: Request, in_use: str | None) -> dict[str, Any]:
    """What the screen shows of experiments: those that there are, the newest first, and the forms.

    Args:
        page: what the screens share.
        request: a form that was refused is in its state.
        in_use: the bundle that answers.
    """
    service = page.service
    known = await experiments_of(service.store)
    found = {one.experiment.name: one for one in await service.watch.experiments(_WAIT_S) or ()}
    shadows = service.watch.shadows()
    wrong: Refusal | None = getattr(request.state, "wrong", None)
    bundles = [one.name for one in service.bundles.facts()]
    others = [name for name in bundles if name != in_use]
    fresh = {"kind": "", "name": "", "alias": DEFAULT_ALIAS, "first": in_use or "", "share": _SHARE}
    fresh |= {"second": (others or [""])[0], "shadow": (others or [""])[0]}
    return {
        "experiments": [
            _told(one, found.get(one.name), shadows.get(one.shadow or "")) for one in known[::-1]
        ],
        "wrong": None if wrong is None else str(wrong),
        "sent": getattr(request.state, "sent", fresh),
        "names": bundles,
        "aliases": sorted(service.bundles.names()),
        "longest": LONGEST,
    }


def _wanted(sent: Mapping[str, str]) -> Experiment:
    """The experiment that a form asks for.

    Raises:
        Refusal: a field is empty or no share.
    """
    if not sent["name"]:
        raise Refusal("The experiment has no name: give it one that no other had.")
    if sent["kind"] == "shadow":
        return Experiment(
            name=sent["name"], arms={}, shares={}, alias=sent["alias"], shadow=_bundle(sent, "shadow")
        )
    if not _PERCENT.fullmatch(sent["share"]):
        raise Refusal(
            f"The share is {sent['share'][:20]!r}: expected a whole number from 1 to 99, in percent."
        )
    share = int(sent["share"]) / 100
    return Experiment(
        name=sent["name"],
        arms={NOW: _bundle(sent, "first"), NEW: _bundle(sent, "second")},
        shares={NOW: 1 - share, NEW: share},
        alias=sent["alias"],
    )


def _bundle(sent: Mapping[str, str], field: str) -> str:
    if not sent[field]:
        raise Refusal("No bundle was chosen: choose one of those that this server has.")
    return sent[field]


def _told(one: Experiment, found: Result | None, shadow: ShadowResult | None) -> dict[str, Any]:
    """An experiment as the screen shows it; without figures as long as they are being counted."""
    arms = () if found is None else found.arms
    return {
        "is": one,
        "since": _day(one.since_ms),
        "arms": arms,
        "differences": {} if found is None else found.differences,
        "verdict": "Being counted: look again in a moment." if found is None else found.sentence,
        "trusted": found is not None and not found.ratio_is_off,
        "crossed": 0 if found is None else found.crossed,
        "shadow": None if shadow is None else shadow.sentence,
        "dots": [] if found is None else _dots(found),
        "first": shown(arms[0].name, 30) if arms else "",
    }


def _dots(found: Result) -> Sequence[Dot]:
    return [
        Dot(label=name, mean=100 * one.mean, low=100 * one.low, high=100 * one.high, strong=one.decided)
        for name, one in found.differences.items()
        if not math.isnan(one.mean)
    ]


def _day(moment_ms: int) -> str:
    return (
        datetime.fromtimestamp(moment_ms / 1000, UTC).strftime("%-d %B %Y") if moment_ms else "the beginning"
    )
