"""A study's log: one event a line, each with a checksum, only ever added to.

A line is JSON: `{"crc":"0f3a99c1","n":12,"kind":"reported",...}`; the checksum is that of the rest of it.
What a crash tore off the end is recognised by it and dropped; what is damaged before the end is refused,
because money stands there. One coordinator writes at a time: it holds a lock on the file, which the system
gives back when its process ends, however that ends. Whoever only reads needs no lock.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matinee.core.errors import InputError

NAME = "log.jsonl"
FORMAT = 1
# What money or a result depends on is on the disk before anything follows from it.
DURABLE = frozenset(
    {"study", "resumed", "leased", "extended", "preempted", "stopped", "finished", "failed", "closed"}
)
_LOCK_S = 2.0
_HEAD, _TAIL = b'{"crc":"', b'",'
_PREFIX = len(_HEAD) + 8 + len(_TAIL)


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened.

    Attributes:
        kind: "study", "resumed", "created", "leased", "extended", "reported", "checkpointed", "told",
            "preempted", "stopped", "finished", "failed", "heartbeat" or "closed".
        at: seconds since 1970.
        clock: seconds that coordinators have been active by then, all of them together.
        trial: the number of the trial that it is about; None: the study.
        about: what else is to be said, plain JSON values.
    """

    kind: str
    at: float = 0.0
    clock: float = 0.0
    trial: int | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


def encode(number: int, event: Event) -> bytes:
    """An event as a line of the log."""
    about: dict[str, Any] = {"n": number, "kind": event.kind, "at": event.at, "clock": event.clock}
    if event.trial is not None:
        about["trial"] = event.trial
    body = json.dumps({**about, **event.about}, separators=(",", ":"), allow_nan=False).encode()
    return _HEAD + b"%08x" % zlib.crc32(body) + _TAIL + body[1:] + b"\n"


def decode(line: bytes, number: int) -> Event | None:
    """The event of a line; None where the line is not whole, or not the one of this number."""
    if not _sound(line):
        return None
    about = json.loads(b"{" + line[_PREFIX:])
    if about.pop("n") != number:
        return None
    head = {name: about.pop(name) for name in ("kind", "at", "clock")}
    return Event(**head, trial=about.pop("trial", None), about=about)


def read_events(folder: Path) -> Iterator[Event]:
    """The events of a study, oldest first, up to where a crash tore the log.

    Raises:
        InputError: there is no study, or a line before the end is damaged.
    """
    for event, _ in _whole(folder / NAME):
        yield event


class Log:
    """The log of a folder, open for adding; nobody else adds to it meanwhile.

    Args:
        folder: the study's folder.

    Attributes:
        events: what the log held when it was opened.

    Raises:
        InputError: another coordinator writes there, or a line before the end is damaged.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / NAME
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            _lock(self._file, path)
            found = list(_whole(path))
            self.events = [event for event, _ in found]
            os.ftruncate(self._file, sum(length for _, length in found))
            _sync_folder(folder)
        except BaseException:
            os.close(self._file)
            raise
        self._number = len(found)

    def add(self, event: Event) -> None:
        """Write an event; those that money or a result depends on are on the disk when this returns."""
        line, before = memoryview(encode(self._number, event)), os.fstat(self._file).st_size
        try:
            while line:
                line = line[os.write(self._file, line) :]
        except OSError:
            # Half a line, with others after it once there is room again, would be a damaged log.
            os.ftruncate(self._file, before)
            raise
        self._number += 1
        if event.kind in DURABLE:
            os.fdatasync(self._file)

    def close(self) -> None:
        """Give the lock back."""
        os.close(self._file)


def is_active(folder: Path) -> bool:
    """Whether a coordinator writes there now."""
    try:
        file = os.open(folder / NAME, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(file)


def _lock(file: int, path: Path) -> None:
    """Wait a moment: whoever asks whether a coordinator is active holds the lock for an instant."""
    end = time.monotonic() + _LOCK_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > end:
                raise InputError(
                    f"{path.parent}: another coordinator is at work on this study; wait for it or stop it."
                ) from error
            time.sleep(0.02)


def _whole(path: Path) -> Iterator[tuple[Event, int]]:
    """The events before the torn end, each with its length in bytes."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path.parent} holds no study: there is no {NAME}.") from error
    with file:
        torn = 0
        for number, line in enumerate(file):
            if not line.endswith(b"\n"):
                # Torn, or being written just now: nothing follows it.
                return
            event = decode(line, number) if not torn else None
            if event is not None:
                yield event, len(line)
                continue
            torn = torn or number + 1
            if number + 1 > torn and _sound(line):
                raise InputError(
                    f"{path}, line {torn}: it is damaged, and sound lines follow it; "
                    "bring the file back from a copy, or begin another study."
                )


def _sound(line: bytes) -> bool:
    """Whether a line is whole, whatever its number."""
    body = b"{" + line[_PREFIX:-1]
    frame = line[:8] == _HEAD and line[16:_PREFIX] == _TAIL and line.endswith(b"}\n")
    return frame and line[8:16] == b"%08x" % zlib.crc32(body)


def _sync_folder(folder: Path) -> None:
    """Have the disk know the file's name too."""
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)
