"""What is left of a store whose writers were killed: nothing acknowledged lost, nothing torn."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from matinee.serve.store import Store


@dataclass(frozen=True)
class Round:
    """One kill.

    Attributes:
        acknowledged: events by the viewer that names their call, as the killed process told.
        lasted_s: how long it was left to write.
    """

    acknowledged: dict[str, int]
    lasted_s: float


@dataclass(frozen=True)
class Losses:
    """What is wrong after all kills; every number must be 0.

    Attributes:
        lost: calls that were acknowledged and are not there.
        torn: calls of which some is there and some is not.
    """

    lost: int
    torn: int


def kill_while_adding(url: str, name: str, rng: random.Random, writers: int = 2) -> Round:
    """Let processes add events to a store, and kill -9 all of them at a random moment of their writing."""
    command = [sys.executable, "-m", "matinee.testing.adder", url]
    processes = [
        subprocess.Popen([*command, f"{name}.{number}"], stdout=subprocess.PIPE) for number in range(writers)
    ]
    told: list[list[bytes]] = [[] for _ in processes]
    first = threading.Event()
    listeners = [
        threading.Thread(target=_listen, args=(process, lines, first))
        for process, lines in zip(processes, told, strict=True)
    ]
    for listener in listeners:
        listener.start()
    first.wait(60)
    lasted_s = rng.random() * 0.3
    time.sleep(lasted_s)
    for process in processes:
        process.kill()
    for process, listener in zip(processes, listeners, strict=True):
        process.wait()
        listener.join()
    # The last line may be cut off: then it says nothing.
    words = [line.split() for lines in told for line in lines if line.endswith(b"\n")]
    return Round({user.decode(): int(count) for user, count in words}, lasted_s)


async def losses(store: Store, rounds: Sequence[Round]) -> Losses:
    """Compare what is in a store with what its killed writers were told."""
    found: Counter[str] = Counter()
    promised: dict[str, int] = {}
    after = 0
    while some := await store.events(after, 5000):
        for event in some:
            found[event.user] += 1
            promised[event.user] = int(event.item.split("/")[1])
        after = some[-1].seq
    shown: Counter[str] = Counter()
    after = 0
    while seen := await store.impressions(after, 5000):
        shown.update(one.user for one in seen)
        after = seen[-1].seq
    acknowledged = {user: count for one in rounds for user, count in one.acknowledged.items()}
    lost = sum(found[user] != count or shown[user] != 1 for user, count in acknowledged.items())
    torn = sum(found[user] != count or shown[user] != 1 for user, count in promised.items())
    return Losses(lost, torn + len(shown.keys() - promised.keys()))


def _listen(process: subprocess.Popen[bytes], lines: list[bytes], first: threading.Event) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.append(line)
            first.set()
