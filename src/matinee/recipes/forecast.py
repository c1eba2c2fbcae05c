"""How long work will take here and elsewhere: predicted CPU-seconds, this core's measured speed, a range.

Recommenders predict what a fit takes on a core of an ordinary desktop (`Needs.cpu_s`). Held against the fits
of benchmarks/results, one prediction is right within a factor of three; a sum of several errs less.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np

from matinee.core.threads import few_threads
from matinee.data.log import InteractionLog
from matinee.recipes.rows import predicted, trains
from matinee.tune.prices import MachineType

# What the fixed work of `core_speed` takes on a quiet core of the machine of docs/figures.md.
_USUAL_S = 0.010
_ROUNDS = 9
# Starting a process, and what a network's library adds to that.
START_S, _LIBRARY_S = 1.5, 2.5
# Viewers that a trial is judged by, and what one takes: a fixed part, and one for each item.
_JUDGED, _ASK_S, _ITEM_S = 2_000, 2e-4, 1.5e-7
# How far a prediction may be off, and how far a GPU's speed that nobody measured.
_OFF, _GPU_OFF = 2.5, 3.0
# Longer work is shared by the cores (core/threads.py).
_SHARED_CPU_S = 60.0
# From asking for a machine to the first fit: the system starts, things are installed, the log is copied.
_BOOT_S = (60.0, 180.0, 420.0)
# Where a GPU is here whose speed nobody measured.
_SOME_GPU = 20.0


@dataclass(frozen=True, kw_only=True)
class Range:
    """A number that is not known yet: what it will hardly be below, what is likely, what hardly above."""

    low: float
    likely: float
    high: float

    def __add__(self, other: Range) -> Range:
        return Range(low=self.low + other.low, likely=self.likely + other.likely, high=self.high + other.high)

    def times(self, factor: float) -> Range:
        """So many times as much."""
        return Range(low=self.low * factor, likely=self.likely * factor, high=self.high * factor)

    def to_json(self, digits: int = 3) -> dict[str, float]:
        """As plain numbers."""
        return {name: round(getattr(self, name), digits) for name in ("low", "likely", "high")}


NOTHING = Range(low=0.0, likely=0.0, high=0.0)


@dataclass(frozen=True, kw_only=True)
class Work:
    """Work of one process, in CPU-seconds of one core of an ordinary desktop.

    Attributes:
        network: training a network, which a GPU would take over.
        other: everything else.
        start_s: wall seconds to start.
    """

    network: float = 0.0
    other: float = 0.0
    start_s: float = START_S

    @property
    def cpu_s(self) -> float:
        """All of it."""
        return self.network + self.other


def fit_work(name: str, settings: Mapping[str, Any], log: InteractionLog, *, judged: bool = False) -> Work:
    """What one fit takes.

    Args:
        name: the recommender.
        settings: settings that differ from its defaults.
        log: what it is fitted on.
        judged: whether its answers to a sample of viewers are looked at.
    """
    whole = predicted(name, settings, log).cpu_s
    network = 0.0
    if trains(name):
        own = {key.removeprefix("sequential."): value for key, value in settings.items()}
        parts = {key: value for key, value in own.items() if name == "sequential" or key not in settings}
        network = min(whole, predicted("sequential", parts, log).cpu_s)
    asked = min(_JUDGED, log.n_viewers) * (_ASK_S + _ITEM_S * log.n_items) if judged else 0.0
    start = START_S + (_LIBRARY_S if trains(name) else 0.0)
    return Work(network=network, other=whole - network + asked, start_s=start)


def wall_s(work: Work, machine: MachineType) -> Range:
    """How long work takes on a machine, by the clock."""
    shared = machine.cores if work.cpu_s > _SHARED_CPU_S else 1
    # How many cores help: all, none but one, or something between.
    helped = Range(low=float(shared), likely=shared**0.5, high=1.0)

    def on(cores: float, gpu: float, off: float) -> float:
        speed = machine.core_speed * cores
        network = work.network / (machine.network_speed * gpu if machine.network_speed else speed)
        return work.start_s / machine.core_speed + off * (network + work.other / speed)

    return Range(
        low=on(helped.low, _GPU_OFF / _OFF, 1 / _OFF),
        likely=on(helped.likely, 1.0, 1.0),
        high=on(helped.high, _OFF / _GPU_OFF, _OFF),
    )


def walls_s(works: Iterable[Work], machine: MachineType) -> Range:
    """How long several take, one after the other."""
    return sum((wall_s(work, machine) for work in works), NOTHING)


def booted(spent: Range) -> Range:
    """The same on a machine that has to be started first."""
    low, likely, high = _BOOT_S
    return spent + Range(low=low, likely=likely, high=high)


def this_machine() -> MachineType:
    """This machine, its core's speed measured just now; what its electricity costs is said elsewhere."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpu = any(Path(place).exists() for place in ("/dev/nvidia0", "/dev/kfd"))
    return MachineType(
        name="this machine",
        price_per_hour=0.0,
        cores=cores,
        core_speed=core_speed() / crowd(cores, os.getloadavg()[0]) ** 0.5,
        network_speed=_SOME_GPU if gpu else 0.0,
    )


def crowd(cores: int, load: float) -> float:
    """How many want a core where one more comes to those who run; 1 where one is free.

    Args:
        cores: of the machine.
        load: how many ran or waited, on average over the last minute.
    """
    return max(1.0, (load + 1.0) / cores)


def core_speed() -> float:
    """How fast one core is just now; 1 is an ordinary desktop's.

    A product of matrices and a walk through memory, some times over: a fifth of a second of its time.
    """
    random = np.random.default_rng(0)
    square = random.random((384, 384), dtype=np.float32)
    codes = random.integers(0, 200_000, 200_000)
    taken = []
    with few_threads(0.0):
        for _ in range(_ROUNDS):
            began = process_time()
            for _ in range(3):
                np.matmul(square, square)
            np.bincount(codes)
            np.sort(codes)
            taken.append(process_time() - began)
    return _USUAL_S / median(taken)
