"""Ctrl-C between steps, and not in the middle of one unless somebody insists."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupts:
    """While open, Ctrl-C that comes inside `held` is handled at its end; a second one at once.

    Weights, moments, averages and running counts are changed one after the other; a checkpoint of some
    changed and some not would not be one. Elsewhere Ctrl-C does what it did before.

    Attributes:
        broken: whether something left `held` by an error, so that what it changed is not whole.
    """

    def __init__(self) -> None:
        self.broken = False
        self._before: Any = None
        self._holding = False
        self._pending = False

    def __enter__(self) -> Interrupts:
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(before):
            self._before = before
            signal.signal(signal.SIGINT, self._came)
        return self

    def __exit__(self, *raised: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Ctrl-C waits for the end of this."""
        self._holding = True
        try:
            yield
        except BaseException:
            self.broken = True
            raise
        finally:
            self._holding = False
        if self._pending:
            self._pending = False
            self._before(signal.SIGINT, None)

    def _came(self, number: int, frame: FrameType | None) -> None:
        if self._holding and not self._pending:
            self._pending = True
        else:
            self._before(number, frame)
