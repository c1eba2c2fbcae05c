"""Words that the processes of one fit leave for each other before and after they train together.

Everybody sees them at `torchrun`'s own store. Waiting for a word is looking for it now and then: it takes no
processor time worth speaking of, has no limit, and can be broken off.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from functools import cache

from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from matinee.core.errors import MatineeError, Stopped
from matinee.core.processes import Processes

_LOOK_S = 0.1
# How long a machine waits for the others to come at all.
_COME = timedelta(minutes=30)
END, _FAILED = "end", "failed"


class Lost(MatineeError):
    """Another process is gone, and has not said why."""


class Ended(Exception):
    """The first process is done, and nothing is left to be trained together."""


class Meeting:
    """Where the processes of one fit find each other.

    Args:
        processes: which one this is, of how many.
        store: what all of them see.

    Attributes:
        processes: which one this is, of how many.
        store: what all of them see.
        trainings: how many networks were trained together so far.
    """

    def __init__(self, processes: Processes, store: Store) -> None:
        self.processes, self.store = processes, store
        self.trainings = 0

    def tell(self, word: str, text: str = "") -> None:
        """Leave a word for the others."""
        self.store.set(word, text)

    def wait(self, *words: str, should_stop: Callable[[], bool] = lambda: False) -> tuple[str, str]:
        """The first of these words that is there, and what it says.

        Raises:
            MatineeError: another process failed.
            Lost: nobody keeps words any more.
            Stopped: somebody asked to stop.
        """
        while True:
            try:
                for word in words:
                    if self.store.check([word]):
                        return word, self.store.get(word).decode()
            except RuntimeError as error:
                raise Lost(f"The first process cannot be reached any more: {first_line(error)}") from error
            self.heed_failure()
            if should_stop():
                raise Stopped("The fit was stopped before its processes met.")
            time.sleep(_LOOK_S)

    def fail(self, sentence: str) -> None:
        """Have the first process say why the fit ends."""
        self.tell(_FAILED, f"Process {self.processes.rank + 1} of {self.processes.size}: {sentence}")

    def heed_failure(self) -> None:
        """Raise what another process left to be said.

        Raises:
            MatineeError: one did.
        """
        if self.processes.first and self.store.check([_FAILED]):
            raise MatineeError(self.store.get(_FAILED).decode())

    def heard(self, word: str, within_s: float) -> bool:
        """Whether a word came within so many seconds; False too where nobody keeps words any more."""
        limit = time.monotonic() + within_s
        try:
            while not self.store.check([word]):
                if time.monotonic() > limit:
                    return False
                time.sleep(_LOOK_S)
        except RuntimeError:
            return False
        return True


@cache
def meeting_of(processes: Processes) -> Meeting:
    """Where these processes meet: what MASTER_ADDR and MASTER_PORT say.

    Raises:
        Lost: the others cannot be reached.
    """
    try:
        found = rendezvous("env://", rank=processes.rank, world_size=processes.size, timeout=_COME)
        store, _, _ = next(iter(found))
    except (RuntimeError, ValueError) as error:
        raise Lost(
            f"Process {processes.rank + 1} of {processes.size} cannot reach the others: {first_line(error)}"
        ) from error
    return Meeting(processes, store)


def first_line(error: BaseException) -> str:
    """The beginning of what torch says, which goes on for pages."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
