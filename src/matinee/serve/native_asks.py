"""The native face's questions: recommend, what if, rank, similar, popular, latest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from matinee.serve.asking import Answer, Ask, Recommended
from matinee.serve.moments import ms_of
from matinee.serve.operations import Call, Operation
from matinee.serve.records import Seen
from matinee.serve.replies import Reply, said
from matinee.serve.schemas import HistoryEntry, ListQuery, RankAsk, RecommendAsk, WhatIfAsk
from matinee.serve.schemas_said import Came, Moved, Said, SaidItem, SaidWhatIf

_NO_BUNDLE = {404: "No bundle has this name or alias."}


async def recommend(call: Call) -> Reply:
    """A personal answer."""
    sent: RecommendAsk = call.body
    return said(_said(await call.service.answers.recommend(_wish(sent, sent.what_if)), sent.user))


async def whatif(call: Call) -> Reply:
    """What would be answered after something that did not happen, beside what is answered now."""
    sent: WhatIfAsk = call.body
    now = await call.service.answers.recommend(_wish(sent, ()))
    then = await call.service.answers.recommend(_wish(sent, sent.what_if))
    was = {one.item: rank for rank, one in enumerate(now.items, 1)}
    will = {one.item: rank for rank, one in enumerate(then.items, 1)}
    moved = [
        Moved(item=one.item, title=one.title, before=was[one.item], after=will[one.item])
        for one in then.items
        if one.item in was and was[one.item] != will[one.item]
    ]
    return said(
        SaidWhatIf(
            before=_said(now, sent.user),
            after=_said(then, sent.user),
            came=_only(then.items, will, was),
            went=_only(now.items, was, will),
            moved=moved,
        )
    )


async def rank(call: Call) -> Reply:
    """A list in the order of somebody's liking."""
    sent: RankAsk = call.body
    items = list(dict.fromkeys(sent.items))
    return said(_said(await call.service.answers.rank(items, _asker(sent)), sent.user))


async def similar(call: Call) -> Reply:
    """Items like an item."""
    sent: ListQuery = call.query
    return said(_said(await call.service.answers.similar(call.path["id"], _listed(sent)), sent.user))


async def popular(call: Call) -> Reply:
    """What most viewers chose of late."""
    sent: ListQuery = call.query
    return said(_said(await call.service.answers.popular(_listed(sent)), sent.user))


async def latest(call: Call) -> Reply:
    """The newest items."""
    sent: ListQuery = call.query
    return said(_said(await call.service.answers.latest(_listed(sent)), sent.user))


def _said(answer: Answer, user: str | None) -> Said:
    return Said(
        user=user,
        source=answer.source,
        recommendation_id=answer.recommendation_id,
        items=[
            SaidItem(
                item=one.item,
                title=one.title,
                score=one.score,
                reasons=list(one.reasons),
                pinned=one.pinned,
            )
            for one in answer.items
        ],
        bundle=answer.bundle,
        experiment=answer.experiment,
        unknown=answer.unknown,
    )


def _only(items: Sequence[Recommended], mine: dict[str, int], other: dict[str, int]) -> list[Came]:
    return [
        Came(item=one.item, title=one.title, rank=mine[one.item]) for one in items if one.item not in other
    ]


def _wish(sent: RecommendAsk, what_if: Sequence[str]) -> Ask:
    return Ask(
        user=sent.user,
        history=_history(sent.history),
        what_if=what_if,
        alias=sent.alias,
        bundle=sent.bundle,
        placement=sent.placement,
        k=sent.k,
        offset=sent.offset,
        exclude=sent.exclude,
        only=sent.only,
        categories=sent.categories,
        region=sent.region,
        repeats=sent.repeats,
        pinned=sent.pinned,
        most=sent.most,
        diversity=sent.diversity,
        freshness=sent.freshness,
        reasons=sent.reasons,
        now_ms=ms_of(sent.now, "now"),
    )


def _asker(sent: RankAsk) -> Ask:
    return Ask(
        user=sent.user,
        history=_history(sent.history),
        alias=sent.alias,
        bundle=sent.bundle,
        placement=sent.placement,
        k=len(sent.items),
        region=sent.region,
        repeats=sent.repeats,
        reasons=sent.reasons,
        now_ms=ms_of(sent.now, "now"),
    )


def _listed(sent: ListQuery) -> Ask:
    return Ask(
        user=sent.user,
        alias=sent.alias,
        bundle=sent.bundle,
        placement=sent.placement or "",
        k=sent.k,
        offset=sent.offset,
        categories=sent.categories,
        region=sent.region,
        reasons=sent.reasons,
    )


def _history(sent: Sequence[str | HistoryEntry] | None) -> list[Seen] | None:
    """A history that was sent; events without a time follow the one before them."""
    if sent is None:
        return None
    history: list[Seen] = []
    time = 0
    for place, one in enumerate(sent):
        if isinstance(one, str):
            history.append(Seen(one, "view", None, time))
            continue
        time = _time(one.time, place, time)
        history.append(Seen(one.item, one.kind, one.value, time))
    return history


def _time(sent: datetime | int | None, place: int, before: int) -> int:
    ms = ms_of(sent, f"history[{place}].time")
    return before if ms is None else ms


OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/recommend",
        handler=recommend,
        tag="Ask",
        summary="Recommend items",
        description="For a user, from what is stored; for a history that comes with the ask; or for nobody "
        'in particular. A newcomer gets an answer too: its source is then "fallback:popular".',
        body=RecommendAsk,
        said=Said,
        noes=_NO_BUNDLE,
        example={"user": "u-1", "k": 5, "reasons": True, "placement": "home"},
    ),
    Operation(
        method="POST",
        path="/v1/whatif",
        handler=whatif,
        tag="Ask",
        summary="Recommend items as if something had been chosen",
        description="Says what would come, go and move; nothing is stored.",
        body=WhatIfAsk,
        said=SaidWhatIf,
        noes=_NO_BUNDLE,
        example={"user": "u-1", "what_if": ["i-7"], "k": 5},
    ),
    Operation(
        method="POST",
        path="/v1/rank",
        handler=rank,
        tag="Ask",
        summary="Put a list into the order of a viewer's liking",
        description="Items that no bundle knows come last, without a score; an item that is named twice is "
        "answered once.",
        body=RankAsk,
        said=Said,
        noes=_NO_BUNDLE,
        example={"user": "u-1", "items": ["i-1", "i-2", "i-3"]},
    ),
    Operation(
        method="GET",
        path="/v1/items/{id}/similar",
        handler=similar,
        tag="Ask",
        summary="Items like an item",
        query=ListQuery,
        said=Said,
        noes={404: "Neither a bundle nor the store knows the item, or no bundle has this name."},
        given={"id": "i-1"},
    ),
    Operation(
        method="GET",
        path="/v1/popular",
        handler=popular,
        tag="Ask",
        summary="What most viewers chose of late",
        query=ListQuery,
        said=Said,
        noes=_NO_BUNDLE,
    ),
    Operation(
        method="GET",
        path="/v1/latest",
        handler=latest,
        tag="Ask",
        summary="The newest items",
        query=ListQuery,
        said=Said,
        noes=_NO_BUNDLE,
    ),
)
