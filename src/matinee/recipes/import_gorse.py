"""What is in Gorse -> a log: from a running server, page by page, or from files of what it answered.

Files are JSON lines (as its dashboard exports them), JSON arrays, or pages as its REST API answers them; each
record is told by its fields: feedback has FeedbackType, items ItemId, users UserId.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from matinee.core.errors import DataError, InputError
from matinee.core.words import counted
from matinee.data.times import to_ms
from matinee.recipes.import_log import Imported, LogFolder, bytes_of, columns_of, log_folder

_PAGE, _BLOCK = 1000, 50_000
_TRIES, _PATIENCE_S = 3, 60.0
_LONGEST_PAGE = 256 * 2**20
_MOVED, _OUR_FAULT = (301, 302, 303, 307, 308), 500
_KINDS = ("Feedback", "Items", "Users")
# Labels of these names would be taken for what matinee means by them.
_OURS = {"id", "title", "genres", "available_from", "hidden", "item", "user"}

Progress = Callable[[str, float], None]


@dataclass
class _Sides:
    """Items and users as they came, which fit into memory."""

    items: list[dict[str, Any]] = field(default_factory=list)
    users: list[dict[str, Any]] = field(default_factory=list)
    timeless: int = 0


def import_gorse(source: str, folder: Path, *, key: str = "", progress: Progress | None = None) -> Imported:
    """Read what is in Gorse.

    Args:
        source: the URL of a server such as http://localhost:8087, or a file or folder.
        folder: where log.parquet, items.parquet and viewers.parquet are written.
        key: the server's API key.
        progress: told what is being done.

    Raises:
        DataError: a record is unusable, or there is none.
        InputError: the server does not answer as Gorse does, or the folder cannot be written.
    """
    tell = progress or (lambda _doing, _share: None)
    records = _asked(source, key, tell) if "://" in source else _read(Path(source))
    sides = _Sides()
    with log_folder(folder) as files:
        feedback = _feedback(records, sides)
        while block := list(islice(feedback, _BLOCK)):
            _add(files, block, sides)
        if sides.items:
            files.put_items(columns_of([_item(one) for one in sides.items]))
        if sides.users:
            files.put_viewers(columns_of([_user(one) for one in sides.users]))
        if sides.timeless:
            files.told.notes.append(f"{counted(sides.timeless, 'feedback')} without a time left out")
    return files.told


Record = tuple[str, int, dict[str, Any]]
"""Where a record is from, its number there, and the record."""


def _feedback(records: Iterable[Record], sides: _Sides) -> Iterator[Record]:
    """The feedback among some records; items and users are put aside."""
    for where, number, record in records:
        if "FeedbackType" in record:
            yield where, number, record
        elif "ItemId" in record:
            _text(where, number, record, "ItemId")
            sides.items.append(record)
        elif "UserId" in record:
            _text(where, number, record, "UserId")
            sides.users.append(record)
        else:
            found = ", ".join(list(record)[:6]) or "nothing"
            raise DataError(
                f"expected a feedback, an item or a user of Gorse, found a record of {found}",
                file=where,
                row=number,
            )


def _add(files: LogFolder, block: Sequence[Record], sides: _Sides) -> None:
    times = to_ms(pa.array([str(record.get("Timestamp") or "") for _, _, record in block]))
    good = np.ones(len(block), bool) if times.bad is None else ~times.bad
    for place in np.flatnonzero(~good).tolist():
        where, number, record = block[place]
        text = str(record.get("Timestamp") or "")
        # Gorse writes its zero time where a client gave none.
        if text and not text.startswith("0001-01-01"):
            raise DataError("expected a time", file=where, row=number, column="Timestamp", value=text)
    sides.timeless += int((~good).sum())
    kept = [block[place] for place in np.flatnonzero(good).tolist()]
    files.add_events(
        {
            "viewer": [_text(*one, "UserId") for one in kept],
            "item": [_text(*one, "ItemId") for one in kept],
            "time": times.ms[good],
            "kind": [_text(*one, "FeedbackType") for one in kept],
            "value": [_value(*one) for one in kept],
        }
    )


def _text(where: str, number: int, record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str) or not value.strip():
        raise DataError("expected an id", file=where, row=number, column=name, value=value)
    return value


def _value(where: str, number: int, record: Mapping[str, Any]) -> float | None:
    """A feedback's value; 0 is what Gorse has where nobody gave one."""
    value = record.get("Value")
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise DataError("expected a number", file=where, row=number, column="Value", value=value)
    return float(value) if value else None


def _item(record: Mapping[str, Any]) -> dict[str, Any]:
    moment = to_ms(pa.array([str(record.get("Timestamp") or "")]))
    return {
        "id": record["ItemId"],
        "title": record.get("Comment") or None,
        "genres": list(record.get("Categories") or []),
        "available_from": None if moment.bad is not None else int(moment.ms[0]),
        "hidden": bool(record.get("IsHidden")),
        **_labels(record.get("Labels")),
    }


def _user(record: Mapping[str, Any]) -> dict[str, Any]:
    comment = {"comment": record["Comment"]} if record.get("Comment") else {}
    return {"id": record["UserId"], **comment, **_labels(record.get("Labels"))}


def _labels(labels: Any) -> dict[str, Any]:
    """Labels as columns of their own where they have names, else as a list."""
    if isinstance(labels, dict):
        return {
            f"{name}_label" if name.lower() in _OURS else name: _plain(one) for name, one in labels.items()
        }
    return {"labels": _plain(labels)} if labels else {}


def _plain(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(one, (str, int, float)) for one in value):
        return [str(one) for one in value]
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value


def _read(source: Path) -> Iterator[Record]:
    """Records of a file, or of all files of a folder."""
    if not source.exists():
        raise DataError(
            "there is no such file or folder",
            file=source,
            remedy="Name an export, or a server's URL such as http://localhost:8087.",
        )
    files = sorted(one for one in source.rglob("*") if one.is_file()) if source.is_dir() else [source]
    for path in files:
        if not path.name.startswith((".", "_")):
            yield from _records_of(path)


def _records_of(path: Path) -> Iterator[Record]:
    with bytes_of(path) as stream:
        for number, line in enumerate(stream, 1):
            text = line.removeprefix(BOM_UTF8).strip()
            if not text:
                continue
            if number == 1 and (text[:1] == b"[" or not _whole(text)):
                yield from _of_one_value(path, text + b"\n" + stream.read())
                return
            try:
                found = json.loads(text)
            except (json.JSONDecodeError, UnicodeDecodeError) as error:
                raise DataError(f"the line is no JSON: {error}", file=path, row=number) from error
            yield from _unfolded(path, number, found)


def _whole(line: bytes) -> bool:
    """Whether a line is a value of its own, as in JSON lines."""
    try:
        json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return False
    return True


def _of_one_value(path: Path, content: bytes) -> Iterator[Record]:
    try:
        found = json.loads(content)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"it is no JSON: {error}", file=path, remedy="Give what Gorse exported.") from error
    yield from _unfolded(path, 1, found)


def _unfolded(path: Path, number: int, found: Any) -> Iterator[Record]:
    """The records of a value: itself, those of a list, or those of a page."""
    if isinstance(found, dict) and any(isinstance(found.get(kind), list) for kind in _KINDS):
        found = [one for kind in _KINDS for one in found.get(kind) or []]
    if isinstance(found, list):
        for place, one in enumerate(found, 1):
            yield from _unfolded(path, place, one)
        return
    if not isinstance(found, dict):
        raise DataError("expected a JSON object", file=path, row=number, value=str(found)[:60])
    yield str(path), number, found


def _asked(url: str, key: str, tell: Progress) -> Iterator[Record]:
    """Records of a running server, page by page."""
    base = url.rstrip("/")
    parts = _split(base)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        # What stands before an @ may be a password: the address is not repeated.
        raise InputError(
            "Expected the address of a server such as http://localhost:8087, without a password."
        )
    base = base if base.endswith("/api") else f"{base}/api"
    for share, kind in enumerate(("Users", "Items", "Feedback")):
        cursor, number = "", 0
        seen: set[str] = set()
        while True:
            query = urllib.parse.urlencode({"n": _PAGE, "cursor": cursor})
            place = f"{base}/{kind.lower()}"
            page = _page(f"{place}?{query}", key)
            rows = page.get(kind) if isinstance(page, dict) else None
            if rows is None and isinstance(page, dict) and kind in page:
                rows = []
            if not isinstance(rows, list):
                raise InputError(f"{place} did not answer as Gorse does: expected a page with {kind!r}.")
            for row in rows:
                number += 1
                yield place, number, row if isinstance(row, dict) else {}
            tell(f"{kind.lower()}: {number:,}", (share + 0.5) / 3)
            cursor = str(page.get("Cursor") or "")
            if not cursor or not rows:
                break
            if cursor in seen:
                raise InputError(f"{place} gave the cursor {cursor[:40]!r} twice: paging would never end.")
            seen.add(cursor)


def _split(url: str) -> urllib.parse.SplitResult | None:
    try:
        return urllib.parse.urlsplit(url)
    except ValueError:
        return None


class _NoOtherPlace(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: it would take the key to whoever is named there."""

    def redirect_request(self, *_told: Any) -> None:
        """Nowhere: the redirect itself is the answer, and an error."""


_OPENER = urllib.request.build_opener(_NoOtherPlace)


def _page(url: str, key: str) -> Any:
    request = urllib.request.Request(url, headers={"X-API-Key": key} if key else {})  # noqa: S310
    place = url.partition("?")[0]
    for attempt in range(_TRIES):
        try:
            with _OPENER.open(request, timeout=_PATIENCE_S) as answer:
                content = answer.read(_LONGEST_PAGE + 1)
            if len(content) > _LONGEST_PAGE:
                raise InputError(f"{place} answered with more than {_LONGEST_PAGE:,} bytes.")
            return json.loads(content)
        except (OSError, http.client.HTTPException) as error:
            if not _may_pass(error) or attempt == _TRIES - 1:
                raise InputError(_why_not(place, error)) from error
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(f"{place} did not answer as Gorse does: its answer is no JSON.") from error
        time.sleep(2.0**attempt / 2)
    raise InputError(f"{place} cannot be reached.")


def _may_pass(error: Exception) -> bool:
    """Whether the same question may be answered in a while."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code >= _OUR_FAULT
    return not isinstance(error, http.client.InvalidURL)


def _why_not(place: str, error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        if error.code in (401, 403):
            return f"{place} wants another key: give the server's with --key."
        if error.code in _MOVED:
            return f"{place} sends to another address: name that one."
        return f"{place} answered {error.code} {error.reason}."
    if isinstance(error, http.client.InvalidURL):
        return f"{place} is no address: expected one such as http://localhost:8087."
    reason = getattr(error, "reason", None) or error
    why = getattr(reason, "strerror", None) or str(reason) or type(error).__name__
    return f"{place} cannot be reached: {why}."
