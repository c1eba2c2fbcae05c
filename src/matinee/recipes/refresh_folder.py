"""The folder of a daily run: one run at a time, nothing left lying about, the last three kept.

```
BUNDLES/2026-11-22T0315Z/   a bundle, named by the minute of its run (UTC)
BUNDLES/in_use.json         which one serves
BUNDLES/.refresh/           the lock, what a run needs while it goes, and that the gate refused
```
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from matinee.answers.manifest import is_bundle
from matinee.core.errors import InputError, MatineeError

KEPT = 3

_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d{4}Z(-\d+)?")
_UNFINISHED = re.compile(r"\.\d{4}-\d\d-\d\dT\d{4}Z.*\.(new|old)")
_WORKPLACE = ".refresh"
_LOCK = "lock"
# That the gate refused what went on from the bundle in use; the next run reads it.
REFUSED_NOTE = "refused.json"


@contextmanager
def locked(bundles: Path) -> Iterator[Path]:
    """Hold the folder alone; what a run before left unfinished is removed.

    The lock is the system's: it goes with the process that holds it, however that ends.

    Yields:
        A folder for what is needed while the run goes.

    Raises:
        InputError: the folder cannot hold bundles.
        MatineeError: another run holds it.
    """
    if is_bundle(bundles):
        raise InputError(f"{bundles} is a bundle: name the folder that bundles are to be kept in.")
    if bundles.exists() and not bundles.is_dir():
        raise InputError(f"{bundles} is a file: name a folder for bundles.")
    place = bundles / _WORKPLACE
    place.mkdir(parents=True, exist_ok=True)
    with (place / _LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            who = lock.read().strip()
            raise MatineeError(
                f"Another refresh of {bundles} is at work{f' ({who})' if who else ''}: this one did nothing."
            ) from error
        lock.truncate(0)
        lock.write(f"process {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
        lock.flush()
        _tidy(bundles, place)
        try:
            yield place
        finally:
            _tidy(bundles, place)
            lock.truncate(0)


def new_name(bundles: Path, now_ms: int) -> str:
    """A name by the minute that no bundle has."""
    name = f"{datetime.fromtimestamp(now_ms / 1000, UTC):%Y-%m-%dT%H%MZ}"
    names = [name, *(f"{name}-{number}" for number in range(2, 1000))]
    return next(one for one in names if not (bundles / one).exists())


def dated(bundles: Path) -> list[str]:
    """The bundles that daily runs wrote, the newest first; what others put there is not among them."""
    found = [one.name for one in bundles.iterdir() if _NAME.fullmatch(one.name) and is_bundle(one)]
    return sorted(found, key=_order, reverse=True)


def prune(bundles: Path, used: Collection[str]) -> list[str]:
    """Remove all that daily runs wrote but the last three and what is in use; the names of what went."""
    gone = [name for name in dated(bundles)[KEPT:] if name not in used]
    for name in gone:
        # Renamed first: half a bundle must never stand under a bundle's name.
        away = bundles / f".{name}.{os.getpid()}.old"
        (bundles / name).rename(away)
        shutil.rmtree(away, ignore_errors=True)
    return gone


def _order(name: str) -> tuple[str, int]:
    day, _, number = name.partition("Z")
    return day, int(number[1:] or 1) if number else 1


def _tidy(bundles: Path, place: Path) -> None:
    for one in bundles.iterdir():
        if _UNFINISHED.fullmatch(one.name):
            shutil.rmtree(one, ignore_errors=True)
    for one in place.iterdir():
        if one.name not in (_LOCK, REFUSED_NOTE):
            shutil.rmtree(one, ignore_errors=True) if one.is_dir() else one.unlink(missing_ok=True)
