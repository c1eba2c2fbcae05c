"""Trials on this machine: a process for each slot, watched by a thread that ends what goes too far.

The watch does not wait for the coordinator to have thought: it looks twenty times a second at what each trial
has cost, how long it has been silent and how much memory it holds. A trial near its limit is asked to end
(SIGTERM) while there is still money for its last checkpoint, and is killed before the money is gone; should
the coordinator itself be held up, the system ends the worker by an alarm. Memory is what the process and its
children hold; a trial above its limit is killed. (The system's own limit on address space would forbid CUDA,
which reserves far more than it takes.)
"""

from __future__ import annotations

import multiprocessing.connection
import pickle
import signal
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from matinee.core.errors import SettingsError
from matinee.core.memory import available_bytes, size_words
from matinee.tune.executor import Heard, Verdict
from matinee.tune.meter import Meter
from matinee.tune.objective import BuiltBy, Objective, kept_at
from matinee.tune.resident import resident_bytes
from matinee.tune.slot import Running, Slot
from matinee.tune.worker import CHECKPOINTS, Job, Order, Said

_WATCH_S = 0.05
_SHARE = 0.9
_ENDS = ("finished", "stopped", "failed")
# A trial that has reported may be silent for so many times its longest step, but surely for a minute.
_STEPS, _LEAST_SILENCE_S = 20.0, 60.0
_UNSTARTED = (
    "A worker could not start (status {}): does the program call tune only below "
    '`if __name__ == "__main__":`, and can its file be imported?'
)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one trial may take.

    Attributes:
        grace_s: seconds from being asked to end to being killed.
        reap_s: seconds kept back for the system to clear a killed process away.
        silence_s: seconds without a word after which it counts as hung; None: where it has reported,
            twenty of its longest steps, and never less than a minute.
        memory_bytes: what it may hold with its children; None: nine tenths of what is free, divided.
        threads: of its linear algebra; None: the cores, divided.
    """

    grace_s: float = 5.0
    reap_s: float = 2.0
    silence_s: float | None = None
    memory_bytes: int | None = None
    threads: int | None = None


class LocalExecutor:
    """Runs trials in processes of this machine (`Executor`).

    Args:
        objective: what they run.
        meter: what a slot's time costs.
        slots: how many run side by side.
        limits: what each may take.
        ends_at: the moment of `time.monotonic` at which everything has ended; None: there is none.

    Raises:
        SettingsError: the objective cannot be sent to a process.
    """

    def __init__(
        self,
        objective: Objective | str | BuiltBy,
        meter: Meter,
        slots: int,
        limits: Limits,
        ends_at: float | None = None,
    ) -> None:
        self.slots, self.price_per_s = slots, meter.most
        self._objective = _pickled(objective)
        self._meter, self._limits, self._ends_at = meter, limits, ends_at
        self._memory = limits.memory_bytes or _share_of_memory(slots)
        self._threads = limits.threads or max(1, (multiprocessing.cpu_count() or 1) // slots)
        self._slots = [Slot() for _ in range(slots)]
        # Why no worker can run the objective at all; said once, so that what runs can still be ended.
        self._unusable, self._said_so = "", False
        self._lock, self._closed = threading.RLock(), threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def start(self, job: Job, limit_dollars: float) -> None:
        """Begin an attempt in a free slot."""
        slot = next(slot for slot in self._slots if slot.busy is None)
        now = time.monotonic()
        with self._lock:
            slot.busy = Running(job, limit_dollars, now, self._meter.reading(), now, self._limits.silence_s)
            slot.spawn(self._objective, self._threads)
            slot.send(replace(job, ends_at=now + limit_dollars / self.price_per_s))

    def extend(self, number: int, limit_dollars: float) -> None:
        """Let the running attempt of a trial cost more."""
        slot = self._slot(number)
        with self._lock:
            if slot is not None and slot.busy is not None:
                more = limit_dollars - self._dollars(slot.busy)
                slot.busy.limit_dollars = limit_dollars
                slot.send(Order(number=number, ends_at=time.monotonic() + more / self.price_per_s))

    def stop(self, number: int, verdict: Verdict) -> None:
        """Ask a trial to give way."""
        slot = self._slot(number)
        if slot is not None and slot.busy is not None:
            slot.busy.verdict = slot.busy.verdict or verdict
            slot.send(Order(number=number))

    def kill(self, number: int, verdict: Verdict) -> None:
        """End a trial's process."""
        slot = self._slot(number)
        with self._lock:
            if slot is not None and slot.busy is not None:
                slot.busy.verdict = slot.busy.verdict or verdict
                slot.kill()

    def cost(self, number: int) -> tuple[float, float]:
        """Seconds and dollars of the running attempt of a trial."""
        slot = self._slot(number)
        if slot is None or slot.busy is None:
            return 0.0, 0.0
        return time.monotonic() - slot.busy.began, self._dollars(slot.busy)

    def hear(self, timeout_s: float) -> list[Heard]:
        """What happened; waits for something to happen, but not longer than that."""
        if self._unusable and not self._said_so:
            self._said_so = True
            raise SettingsError(self._unusable)
        places: dict[Any, Slot] = {}
        for slot in self._slots:
            if slot.process is not None and slot.pipe is not None:
                places |= {slot.process.sentinel: slot, slot.pipe: slot}
        ready = multiprocessing.connection.wait(list(places), timeout_s) if places else []
        if not places:
            time.sleep(timeout_s)
        found: list[Heard] = []
        for slot in {id(places[one]): places[one] for one in ready}.values():
            dead = slot.process is not None and not slot.process.is_alive()
            found += self._drain(slot)
            if dead:
                found += self._bury(slot)
        return found

    def close(self) -> None:
        """End everything that runs."""
        self._closed.set()
        self._watcher.join()
        for slot in self._slots:
            slot.kill()
        for slot in self._slots:
            slot.bury()
            slot.busy = None

    def _slot(self, number: int) -> Slot | None:
        return next((one for one in self._slots if one.busy and one.busy.job.number == number), None)

    def _dollars(self, busy: Running) -> float:
        return self._meter.reading() - busy.reading

    def _drain(self, slot: Slot) -> list[Heard]:
        """Everything that a worker has said."""
        found: list[Heard] = []
        pipe = slot.pipe
        try:
            while pipe is not None and pipe.poll():
                found += self._take(slot, pipe.recv())
        except (EOFError, OSError, pickle.UnpicklingError):
            # It died in the middle of a word.
            pass
        return found

    def _take(self, slot: Slot, said: Said) -> list[Heard]:
        """One thing that a worker said."""
        if said.kind == "unusable":
            self._broken(slot, said.words)
        busy = slot.busy
        if said.kind == "ready":
            slot.ready = True
            if busy is not None:
                start = {"start_s": time.monotonic() - busy.began, "start_dollars": self._dollars(busy)}
                return [self._heard(busy, replace(said, kind="told", facts=start))]
        if busy is None or said.number != busy.job.number:
            return []
        with self._lock:
            now = time.monotonic()
            if said.kept_s is not None:
                ago = said.kept_s * self.price_per_s
                busy.kept_dollars = max(busy.kept_dollars or 0.0, self._dollars(busy) - ago, 0.0)
            if self._limits.silence_s is None and said.kind in ("reported", "alive"):
                longest = _STEPS * (now - busy.spoke)
                busy.patience_s = max(busy.patience_s or _LEAST_SILENCE_S, longest)
            busy.spoke = now
            if said.kind in _ENDS and busy.told is not None:
                # Its process was told to end: the bill runs until it has.
                busy.last = said
                return []
            heard = self._heard(busy, said)
            if said.kind in _ENDS:
                slot.busy = None
        return [heard]

    def _bury(self, slot: Slot) -> list[Heard]:
        """A worker's process has ended; so has its trial."""
        with self._lock:
            busy, ready = slot.busy, slot.ready
            status = slot.bury()
            if status > 0 and not ready:
                self._broken(slot, _UNSTARTED.format(status))
            slot.busy = None
        if busy is None:
            return []
        if busy.last is not None:
            return [self._heard(busy, busy.last)]
        written = kept_at(Path(busy.job.folder) / CHECKPOINTS)
        if written is not None:
            ago = time.time() - written
            if 0 <= ago <= time.monotonic() - busy.began:
                busy.kept_dollars = self._dollars(busy) - ago * self.price_per_s
        said = Said(kind="died", number=busy.job.number, words=_end_words(status))
        verdict: Verdict = "limit" if status == -signal.SIGALRM else busy.verdict
        return [self._heard(busy, said, verdict, 0 if busy.killed else max(0, -status))]

    def _heard(self, busy: Running, said: Said, verdict: Verdict | None = None, signal_: int = 0) -> Heard:
        return Heard(
            kind=said.kind,
            number=busy.job.number,
            seconds=time.monotonic() - busy.began,
            dollars=self._dollars(busy),
            kept_dollars=busy.kept_dollars,
            step=said.step,
            value=said.value,
            words=self._why(busy) or said.words,
            facts=said.facts or {},
            verdict=verdict if verdict is not None else busy.verdict,
            signal=signal_,
        )

    def _why(self, busy: Running) -> str:
        """A sentence about a trial that was made to end."""
        if busy.verdict == "silent":
            return f"It hung: it said nothing for {busy.patience_s:.0f} s."
        if busy.verdict == "memory":
            return f"It took more memory than the {size_words(self._memory or 0)} that a trial may have."
        return ""

    def _broken(self, slot: Slot, words: str) -> None:
        """No worker can run this objective; the trial that a slot holds is not to blame."""
        self._unusable = self._unusable or words
        if slot.busy is not None:
            slot.busy.verdict = "interrupt"

    def _watch(self) -> None:
        """The thread that ends what goes too far."""
        while not self._closed.wait(_WATCH_S):
            for slot in self._slots:
                with self._lock:
                    if slot.busy is not None and not slot.busy.killed:
                        self._look(slot, slot.busy)

    def _look(self, slot: Slot, busy: Running) -> None:
        now = time.monotonic()
        left_s = (busy.limit_dollars - self._dollars(busy)) / self.price_per_s
        time_s = self._ends_at - now if self._ends_at is not None else 1e9
        verdict: Verdict = "time" if time_s < left_s else "limit"
        left_s = min(left_s, time_s)
        if busy.told is not None and now - busy.told > self._limits.grace_s:
            left_s = 0.0
        if left_s < self._limits.reap_s:
            busy.verdict = busy.verdict or verdict
            slot.kill()
        elif left_s < self._limits.grace_s + self._limits.reap_s and busy.told is None:
            busy.verdict = busy.verdict or verdict
            slot.terminate()
        elif busy.patience_s is not None and now - busy.spoke > busy.patience_s:
            busy.verdict = "silent"
            slot.kill()
        elif self._memory is not None and _held(slot) > self._memory:
            busy.verdict = "memory"
            slot.kill()


def _held(slot: Slot) -> int:
    process = slot.process
    return resident_bytes(process.pid) if process is not None and process.pid is not None else 0


def _share_of_memory(slots: int) -> int | None:
    there = available_bytes()
    return int(_SHARE * there / slots) if there is not None else None


def _pickled(objective: Objective | str | BuiltBy) -> bytes:
    """An objective as it is sent to processes.

    Raises:
        SettingsError: it cannot be sent, or could not be found there.
    """
    remedy = 'define it at the top of a module, or name it as "module:name"'
    main = sys.modules.get("__main__")
    if getattr(objective, "__module__", "") == "__main__" and not hasattr(main, "__file__"):
        raise SettingsError(f"The objective is defined where workers cannot import it: {remedy}.")
    try:
        return pickle.dumps(objective)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise SettingsError(f"The objective cannot be sent to a worker ({error}): {remedy}.") from error


def _end_words(status: int) -> str:
    if status < 0:
        return f"Its process died of {signal.Signals(-status).name}."
    return f"Its process ended with status {status} in the middle of the trial."
