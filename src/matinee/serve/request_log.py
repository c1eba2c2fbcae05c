"""One line a request, of what was asked and how it went, and nothing of who asked or for whom."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

FORMS = ("json", "plain", "off")

# Lines go out together, so often; and where nobody takes them, no more than so many are kept.
_EVERY_S = 0.2
_MOST_KEPT = 50_000

# A log file that has grown so large is put aside as NAME.1, the one before as NAME.2, and so on.
FILE_BYTES = 64 * 2**20
_FILES_KEPT = 5


class Lines(Protocol):
    """Where lines go."""

    def write(self, data: bytes) -> None:
        """Write whole lines."""


class RequestLog:
    """The log of one process; lines are written by a thread, so that a slow disk delays nobody.

    Args:
        form: `json`, `plain` or `off`: requests are left out; what the server says of itself is not.
        to: where lines go.
    """

    def __init__(self, form: str, to: Lines) -> None:
        self._form, self._to = form, to
        self._lines: deque[str] = deque()
        self._lost = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="matinee-log", daemon=True)
        self._thread.start()

    def request(self, facts: dict[str, Any]) -> None:
        """One request: method, route, face, status, ms, bytes; and `error` where it broke."""
        if self._form == "json":
            # Every answer waits for this line; what the server says of itself may hold what msgspec refuses.
            self._put(msgspec.json.encode({"time": _now(), **facts}).decode())
        elif self._form == "plain":
            words = (
                f"{facts['method']} {facts['route']} {facts['status']} {facts['ms']} ms {facts['bytes']} B"
            )
            self._put(f"{_now()} {words}{' ' + facts['error'] if 'error' in facts else ''}")

    def say(self, message: str, **facts: Any) -> None:
        """Something that the server says of itself."""
        if self._form == "json":
            self._put(json.dumps({"time": _now(), "message": message, **facts}))
        else:
            self._put(f"{_now()} {message}")

    def close(self) -> None:
        """Write what is left."""
        self._ending.set()
        self._thread.join(timeout=5.0)

    def _put(self, line: str) -> None:
        if len(self._lines) >= _MOST_KEPT:
            self._lost += 1
            return
        self._lines.append(line)

    def _write_on(self) -> None:
        while not self._ending.wait(_EVERY_S):
            self._write()
        self._write()

    def _write(self) -> None:
        lines = []
        while self._lines:
            lines.append(self._lines.popleft())
        if self._lost:
            lines.append(json.dumps({"time": _now(), "message": f"{self._lost} lines were lost"}))
            self._lost = 0
        if lines:
            # A full disk or a closed pipe is no reason to stop answering.
            with suppress(OSError):
                self._to.write(("\n".join(lines) + "\n").encode())


class ToStream:
    """Lines to a stream of this process, standard error unless told otherwise."""

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = sys.stderr.fileno() if descriptor is None else descriptor

    def write(self, data: bytes) -> None:
        """Write whole lines."""
        _write_all(self._descriptor, data)


class ToFile:
    """Lines to a file that several processes share: appended whole, put aside when it is large.

    Args:
        path: the file.
        most_bytes: when it is put aside.
    """

    def __init__(self, path: Path, most_bytes: int = FILE_BYTES) -> None:
        self._path, self._most = path, most_bytes
        self._descriptor = -1
        self._open()

    def write(self, data: bytes) -> None:
        """Write whole lines."""
        if self._moved():
            self._open()
        if os.fstat(self._descriptor).st_size > self._most:
            self._put_aside()
        _write_all(self._descriptor, data)

    def _open(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o640)

    def _moved(self) -> bool:
        """Whether another process, or logrotate, has put the file aside."""
        try:
            return os.stat(self._path).st_ino != os.fstat(self._descriptor).st_ino  # noqa: PTH116
        except FileNotFoundError:
            return True

    def _put_aside(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            if not self._moved():
                for number in range(_FILES_KEPT - 1, 0, -1):
                    with suppress(FileNotFoundError):
                        self._numbered(number).replace(self._numbered(number + 1))
                self._path.replace(self._numbered(1))
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _now() -> str:
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
