"""Gorse's questions: what to recommend, what is like an item, what is popular, who is like a user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from starlette.requests import Request

from matinee.serve.asking import FARTHEST, MOST_ITEMS, Answer, Ask
from matinee.serve.due import due_history
from matinee.serve.foreign import body_of, checked_id, decoded, whole_number
from matinee.serve.gorse_shapes import SessionFeedback, delay_ms, scores_of, seen_of
from matinee.serve.records import Event, Impression
from matinee.serve.refusals import NotFound, TooBig
from matinee.serve.service import Service

_DEFAULT_N = 10


async def recommend(service: Service, request: Request) -> Any:
    """Ids, or scored ids for clients of version 2; what is given may be written back as feedback."""
    ask = replace(_ask(request), user=_user(request))
    kind, delay = (
        request.query_params.get("write-back-type", ""),
        request.query_params.get("write-back-delay"),
    )
    later = delay_ms(delay)
    answer = await _asked(service.answers.recommend, ask)
    if kind and answer.items:
        await _write_back(service, str(ask.user), answer, checked_id("write-back-type", kind), later)
    if request.headers.get("x-api-version", "").strip() == "2":
        return scores_of(answer)
    return [one.item for one in answer.items]


async def scored(service: Service, request: Request) -> Any:
    """Scored ids for a user."""
    return scores_of(await _asked(service.answers.recommend, replace(_ask(request), user=_user(request))))


async def session(service: Service, request: Request) -> Any:
    """Scored ids for a session, of which nothing is stored."""
    sent = decoded(await body_of(request, service.limits), list[SessionFeedback] | None) or []
    if len(sent) > service.limits.events:
        raise TooBig(
            f"{len(sent):,} feedbacks were sent: at most {service.limits.events:,} are taken at once."
        )
    now = service.now_ms()
    history = sorted((seen_of(one, now) for one in sent), key=lambda one: one.time_ms)
    return scores_of(await _asked(service.answers.recommend, replace(_ask(request), history=history)))


async def latest(service: Service, request: Request) -> Any:
    """The newest items."""
    return scores_of(await _asked(service.answers.latest, await _without_read(service, request)))


async def popular(service: Service, request: Request) -> Any:
    """What most users chose of late."""
    return scores_of(await _asked(service.answers.popular, await _without_read(service, request)))


async def non_personalized(service: Service, request: Request) -> Any:
    """A list by the name that Gorse's settings gave it: `latest` is that, any other is what is popular."""
    name = request.path_params["name"]
    return await (latest if name == "latest" else popular)(service, request)


async def similar(service: Service, request: Request) -> Any:
    """Items like an item; none where nobody knows it."""
    item = checked_id("The item", request.path_params["item"])
    ask = await _without_read(service, request)
    if not ask.k:
        return []
    try:
        return scores_of(await service.answers.similar(item, ask))
    except NotFound:
        return []


async def neighbours(service: Service, request: Request) -> Any:
    """Users with the nearest taste; none where nobody knows the user."""
    ask = _ask(request)
    found = await service.answers.neighbours(_user(request), ask.offset + ask.k) if ask.k else []
    return [{"Id": user, "Score": score} for user, score in found[ask.offset :]]


def _user(request: Request) -> str:
    return checked_id("The user", request.path_params["user"])


def _ask(request: Request) -> Ask:
    """What the query says: n, offset, and categories, which may stand in the path instead."""
    named: Sequence[str] = [name for name in request.query_params.getlist("category") if name]
    in_path = request.path_params.get("category")
    if not named and in_path:
        named = [in_path]
    return Ask(
        k=whole_number(request, "n", _DEFAULT_N, MOST_ITEMS),
        offset=whole_number(request, "offset", 0, FARTHEST),
        categories=tuple(checked_id("category", name) for name in named),
    )


async def _without_read(service: Service, request: Request) -> Ask:
    """The same, without what the user in the query has read."""
    ask = _ask(request)
    user = request.query_params.get("user-id", "")
    if not user:
        return ask
    who = checked_id("user-id", user)
    read = await due_history(service.store, who, service.limits.history, service.now_ms())
    return replace(ask, exclude=tuple({one.item for one in read}))


async def _asked(question: Any, ask: Ask) -> Answer:
    if ask.k:
        answer: Answer = await question(ask)
        return answer
    return Answer(items=(), source="", recommendation_id="")


async def _write_back(service: Service, user: str, answer: Answer, kind: str, later_ms: int) -> None:
    """Store that the items were shown, and as feedback from `later_ms` on, as the client asked."""
    now, items = service.now_ms(), tuple(one.item for one in answer.items)
    shown = Impression(user=user, items=items, time_ms=now, recommendation_id=answer.recommendation_id)
    events = [Event(user=user, item=item, kind=kind, time_ms=now + later_ms) for item in items]
    await service.store.add(events, [shown])
