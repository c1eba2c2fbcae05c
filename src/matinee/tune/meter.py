"""What a second of a machine costs: a meter that runs like the one beside the front door.

On a desktop a dollar is electricity. Where the GPU has a counter of its own, what it draws is added to what
the machine draws without it (`MATINEE_WATTS`); elsewhere the machine's watts stand for everything.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from matinee.core.electricity import electricity_dollars

# How often a GPU is asked what it draws; each question starts a process.
_LOOK_S = 5.0
_ASK = ("nvidia-smi", "--query-gpu=power.draw,power.limit", "--format=csv,noheader,nounits")


class Meter(Protocol):
    """Dollars of one worker's time.

    Attributes:
        most: dollars of a second at most; what is reserved is counted with it.
    """

    most: float

    def reading(self) -> float:
        """Dollars that a worker, had it run all the time, would have cost since the meter was made."""

    def close(self) -> None:
        """Stop looking."""


class Steady:
    """A meter of a machine whose second has one price.

    Args:
        price_per_s: dollars of one worker's second.
        clock: seconds that never go back.
    """

    def __init__(self, price_per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = price_per_s
        self._clock, self._begin = clock, clock()

    def reading(self) -> float:
        """Dollars since the meter was made."""
        return (self._clock() - self._begin) * self.most

    def close(self) -> None:
        """There is nothing to stop."""


class Drawn:
    """A meter that looks every few seconds at what the GPUs draw, in a thread of its own.

    Until the first look, and where a look tells nothing, the most is counted.

    Args:
        workers: among how many the machine's cost is divided.
        look: watts that the GPUs draw now, and their limit; None where they do not tell.
        clock: seconds that never go back.
        pause_s: seconds from one look to the next.
    """

    def __init__(
        self,
        workers: int,
        look: Callable[[], tuple[float, float] | None],
        clock: Callable[[], float] = time.monotonic,
        pause_s: float = _LOOK_S,
    ) -> None:
        self._workers, self._look, self._clock, self._pause_s = workers, look, clock, pause_s
        first = look()
        self.most = self._price(first[1] if first else 0.0)
        self._now = self._price(first[0]) if first else self.most
        self._sum, self._at = 0.0, clock()
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def reading(self) -> float:
        """Dollars since the meter was made."""
        with self._lock:
            now = self._clock()
            self._sum += (now - self._at) * self._now
            self._at = now
            return self._sum

    def close(self) -> None:
        """Stop looking."""
        self._closed.set()
        self._thread.join(1.0)

    def _price(self, gpu_watts: float) -> float:
        """Dollars of a worker's second at so many watts beside the machine's own."""
        return electricity_dollars(1.0, gpu_watts) / self._workers

    def look(self) -> None:
        """See what is drawn now; what was drawn until now is counted as it was seen last."""
        found = self._look()
        self.reading()
        with self._lock:
            self._now = min(self._price(found[0]), self.most) if found else self.most

    def _watch(self) -> None:
        while not self._closed.wait(self._pause_s):
            self.look()


def meter_here(workers: int, price_per_hour: float | None = None) -> Meter:
    """The meter of this machine, whose cost is divided among the workers.

    Args:
        workers: how many run side by side.
        price_per_hour: dollars of the machine's hour; None: its electricity.
    """
    if price_per_hour is not None:
        return Steady(price_per_hour / 3600 / workers)
    if shutil.which(_ASK[0]) is not None and gpu_watts() is not None:
        return Drawn(workers, gpu_watts)
    return Steady(electricity_dollars(1.0) / workers)


def gpu_watts() -> tuple[float, float] | None:
    """Watts that this machine's GPUs draw together, and their limit; None where nobody tells."""
    with suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run(_ASK, check=True, capture_output=True, text=True, timeout=20).stdout
        return read_watts(said)
    return None


def read_watts(said: str) -> tuple[float, float] | None:
    """Watts drawn and allowed, from lines such as `145.32, 450.00`, one a GPU; None: nothing is told.

    A GPU that tells what it draws and no limit may draw twice that.
    """
    drawn = allowed = 0.0
    for line in said.splitlines():
        now, _, limit = (word.strip() for word in line.partition(","))
        with suppress(ValueError):
            watts = float(now)
            drawn += watts
            allowed += max(watts, _number(limit, 2 * watts))
    return (drawn, allowed) if drawn > 0 else None


def _number(word: str, otherwise: float) -> float:
    try:
        return float(word)
    except ValueError:
        return otherwise
