"""Gorse's users and their feedback."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from matinee.serve.foreign import body_of, checked_id, decoded, whole_number
from matinee.serve.gorse_feedback import MOST_ROWS, all_rows, cursor_of, feedback_answer, page_of, place_of
from matinee.serve.gorse_shapes import (
    Feedback,
    User,
    UserPatch,
    event_of,
    patched_viewer,
    user_of,
    viewer_of,
)
from matinee.serve.records import ViewerRecord
from matinee.serve.refusals import NotFound, TooBig
from matinee.serve.service import Service

_DEFAULT_N = 10


async def put_user(service: Service, request: Request) -> Any:
    """Write one user."""
    return await _put(service, [decoded(await body_of(request, service.limits), User)])


async def put_users(service: Service, request: Request) -> Any:
    """Write several users."""
    return await _put(service, decoded(await body_of(request, service.limits), list[User] | None) or [])


async def _put(service: Service, users: list[User]) -> dict[str, int]:
    refuse_many(service, len(users), "users")
    now = service.now_ms()
    before = {one.user_id: await service.store.viewer(checked_id("UserId", one.user_id)) for one in users}
    records = [viewer_of(one, before[one.user_id], now) for one in users]
    if records:
        await service.store.put_viewers(records)
    return {"RowAffected": len(records)}


async def list_users(service: Service, request: Request) -> Any:
    """A page of users, and the cursor of the next."""
    most = whole_number(request, "n", _DEFAULT_N, MOST_ROWS)
    found = await service.store.viewers(cursor_of(request), most + 1)
    users = [user_of(one) for one in found[:most]]
    return {"Cursor": found[most - 1].id if users and len(found) > most else "", "Users": users}


async def get_user(service: Service, request: Request) -> Any:
    """One user."""
    return user_of(await _known(service, request))


async def patch_user(service: Service, request: Request) -> Any:
    """Change what is said of a user."""
    patch = decoded(await body_of(request, service.limits), UserPatch)
    await service.store.put_viewers([patched_viewer(await _known(service, request), patch)])
    return {"RowAffected": 1}


async def delete_user(service: Service, request: Request) -> Any:
    """Delete a user with everything that is stored of him or her."""
    await service.store.forget(_user(request))
    return {"RowAffected": 1}


async def feedback_of_user(service: Service, request: Request) -> Any:
    """A user's feedback, of one type where one is named."""
    return await feedback_answer(service, request, user=_user(request), kind=request.path_params.get("type"))


async def add_feedback(service: Service, request: Request) -> Any:
    """Take in feedback; the value is added to that of the same type, user and item."""
    return await _take(service, request, sets=False)


async def set_feedback(service: Service, request: Request) -> Any:
    """Take in feedback; it overwrites that of the same type, user and item."""
    return await _take(service, request, sets=True)


async def _take(service: Service, request: Request, *, sets: bool) -> dict[str, int]:
    sent = decoded(await body_of(request, service.limits), list[Feedback] | None) or []
    refuse_many(service, len(sent), "feedbacks")
    now = service.now_ms()
    events = [event_of(one, now, sets=sets) for one in sent]
    if events:
        await service.store.add(events)
    return {"RowAffected": len(events)}


async def feedback_page(service: Service, request: Request) -> Any:
    """A page of everybody's feedback, of one type where one is named, and the cursor of the next."""
    most, after = whole_number(request, "n", _DEFAULT_N, MOST_ROWS), place_of(request)
    kind = request.path_params.get("type")
    if not most:
        return {"Cursor": "", "Feedback": []}
    rows, following = await page_of(service.store, after, most, service.now_ms(), kind=kind)
    return {"Cursor": following, "Feedback": rows}


async def get_feedback(service: Service, request: Request) -> Any:
    """What a user gave an item: every type, or the one that is named."""
    rows, kind = await _between(service, request), request.path_params.get("type")
    if kind is None:
        return rows
    if not rows:
        user, item = request.path_params["user"], request.path_params["item"]
        raise NotFound(f"User {user!r} gave item {item!r} no feedback of type {kind!r}.")
    return rows[0]


async def delete_feedback(service: Service, request: Request) -> Any:
    """Take back what a user gave an item: every type, or the one that is named."""
    rows = await _between(service, request)
    if rows:
        kind, item = request.path_params.get("type"), request.path_params["item"]
        await service.store.withdraw(_user(request), item, kind)
    return {"RowAffected": len(rows)}


async def _between(service: Service, request: Request) -> list[dict[str, Any]]:
    item, kind = checked_id("The item", request.path_params["item"]), request.path_params.get("type")
    return await all_rows(service.store, service.now_ms(), user=_user(request), item=item, kind=kind)


async def _known(service: Service, request: Request) -> ViewerRecord:
    """A user who has a profile, or of whom there is an event.

    Raises:
        NotFound: there is neither.
    """
    user = _user(request)
    record = await service.store.viewer(user)
    if record is None and await service.store.history(user, 1):
        record = ViewerRecord(id=user)
    if record is None:
        raise NotFound(f"There is no user {user!r}: insert one with POST /api/user.")
    return record


def _user(request: Request) -> str:
    return checked_id("The user", request.path_params["user"])


def refuse_many(service: Service, found: int, what: str) -> None:
    """Refuse more rows than are taken in at once.

    Raises:
        TooBig: there are.
    """
    most = service.limits.events
    if found > most:
        raise TooBig(
            f"{found:,} {what} were sent: at most {most:,} are taken in at once; send them in parts."
        )
