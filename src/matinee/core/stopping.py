"""How fits are stopped: by a signal that lets them save first, or with the process that started them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PR_SET_PDEATHSIG = 1


@contextmanager
def stop_on_signals(*, patient: bool = False) -> Iterator[Callable[[], bool]]:
    """While it lasts, Ctrl-C and SIGTERM ask the fit to stop instead of breaking it off.

    Args:
        patient: further signals change nothing; else a second one breaks the fit off.

    Yields:
        Whether somebody asked. Signals reach the main thread only: in another one, nobody ever does.
    """
    asked = threading.Event()

    def note(_signal: int, _frame: object) -> None:
        if asked.is_set() and not patient:
            raise KeyboardInterrupt
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    # What the caller's shell told this process to ignore stays ignored.
    heard = [one for one in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(one) != signal.SIG_IGN]
    before = {one: signal.signal(one, note) for one in heard}
    try:
        yield asked.is_set
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def end_with(parent: int) -> None:
    """Have the system end this process when its parent ends, however that ends.

    Args:
        parent: the process that started this one.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have ended before the system was asked.
    if os.getppid() != parent:
        os._exit(1)
