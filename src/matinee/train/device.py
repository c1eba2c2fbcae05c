"""Where a network is trained, and how precisely.

bfloat16 (autocast) where the device has units for it: weights, sums and norms stay float32, products do not.
A device without such units only emulates it, slower than float32.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from matinee.core.errors import SettingsError, TooLarge
from matinee.core.memory import size_words
from matinee.core.processes import ALONE, Processes
from matinee.train.memory import NetworkSize, predicted_bytes, predicted_gpu_bytes

# Options of glibc's mallopt (malloc.h).
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
# A step on fewer events is over before a second thread is of use; waiting for it would cost as much again.
_EVENTS_A_THREAD = 2048

PRECISIONS = ("auto", "float32", "bfloat16")
# Other words for the same.
_PRECISION_WORDS = {"fp32": "float32", "bf16": "bfloat16"}
_CPU_WORDS = ("amx_bf16", "avx512_bf16", "bf16")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A device and a precision.

    Attributes:
        device: of torch's.
        half: whether products are computed in bfloat16.
    """

    device: torch.device
    half: bool

    def autocast(self) -> AbstractContextManager[object]:
        """A context in which a network computes at this precision."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.half)

    def fork_random(self) -> AbstractContextManager[object]:
        """A context that leaves torch's random streams as it found them."""
        devices = [self.device] if self.device.type == "cuda" else []
        return torch.random.fork_rng(devices=devices)

    def random_state(self) -> dict[str, Tensor]:
        """Where torch's random streams stand."""
        states = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.device)
        return states

    def set_random_state(self, states: dict[str, Tensor]) -> None:
        """Put the random streams back to where they stood."""
        torch.set_rng_state(states["cpu"])
        if self.device.type == "cuda" and "cuda" in states:
            torch.cuda.set_rng_state(states["cuda"], self.device)


def return_large_memory() -> None:
    """Have blocks of 2 MiB and more given back to the system when they are freed, where glibc allocates.

    Batches differ in length, so their large arrays leave holes in the heap that the next ones do not fit: on
    Amazon Beauty a fit's peak was 720 MB instead of 454, and grew with every pass. It costs up to 4 % of the
    time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 2 * 2**20)
        mallopt(_TRIM_THRESHOLD, 32 * 2**20)


@contextmanager
def threads_for(batch_events: int, processes: Processes = ALONE) -> Iterator[None]:
    """A context in which torch takes no more threads than batches of so many events keep busy.

    Where several processes take a batch together, those of one machine share its cores as well.
    """
    before = torch.get_num_threads()
    most = (
        before if processes.size == 1 else min(before, len(os.sched_getaffinity(0)) // processes.local_size)
    )
    busy = batch_events // processes.size // _EVENTS_A_THREAD
    torch.set_num_threads(max(1, min(most, busy)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def find_place(device: str = "auto", precision: str = "auto", processes: Processes = ALONE) -> Place:
    """Where to train, from what was asked for; of several processes, each on a GPU of its own.

    Args:
        device: "auto" (a GPU where there is one), "cpu", "gpu", or a name of torch's such as "cuda:0".
        precision: "auto" (bfloat16 where the device has units for it), "float32" or "bfloat16"; or "fp32",
            "bf16".
        processes: which of the processes that train together this is.

    Raises:
        SettingsError: nobody knows the device or precision, or this machine does not have it, or has fewer
            GPUs than processes.
    """
    precision = _PRECISION_WORDS.get(precision, precision)
    if precision not in PRECISIONS:
        raise SettingsError(
            f"Unknown precision {precision!r}: known are auto, float32 (or fp32) and bfloat16 (or bf16)."
        )
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    found = _device(device)
    if processes.size > 1 and found.type == "cuda":
        found = own_gpu(found, processes, torch.cuda.device_count())
    return Place(device=found, half=has_half_units(found) if precision == "auto" else precision == "bfloat16")


def own_gpu(asked: torch.device, processes: Processes, there: int) -> torch.device:
    """The GPU of one of several processes.

    Args:
        asked: of torch's.
        processes: which one, of how many.
        there: GPUs of this machine.

    Raises:
        SettingsError: there are too few, or all were asked to take the same one.
    """
    if processes.local_size > there:
        raise SettingsError(
            f"{processes.local_size} processes were started on a machine with {there} GPU(s): start one for "
            "each (--nproc_per_node), or take --device cpu."
        )
    if asked.index is not None and processes.local_size > 1:
        raise SettingsError(
            f"Device {asked} was asked for by each of {processes.local_size} processes: take --device gpu, "
            "and each has its own."
        )
    return asked if asked.index is not None else torch.device("cuda", processes.local_rank)


def require_on(place: Place, size: NetworkSize, free: int | None = None) -> None:
    """Refuse a network that an accelerator's memory will not hold while it is trained.

    The processor's own memory is looked at before torch is loaded (`core.memory.require`).

    Args:
        place: where it is to be trained.
        size: what decides how much that takes.
        free: bytes that the accelerator has free; None: ask it.

    Raises:
        TooLarge: names what is needed and what there is.
    """
    if free is None and place.device.type == "cuda":
        free = torch.cuda.mem_get_info(place.device)[0]
    needed = predicted_bytes(size) if place.device.type == "cpu" else predicted_gpu_bytes(size)
    if free is not None and needed > free:
        raise TooLarge(
            f"Training on {place.device} needs {size_words(needed)} of its memory, {size_words(free)} are "
            "free: set a smaller width or batch_events, or take --device cpu."
        )


def place_words() -> str:
    """Where a network would train here if nobody chose, as a bug report says it: `cpu, float32`."""
    place = find_place()
    name = f" ({torch.cuda.get_device_name(place.device)})" if place.device.type == "cuda" else ""
    return f"{place.device}{name}, {'bfloat16' if place.half else 'float32'}"


def has_half_units(device: torch.device, words: frozenset[str] | None = None) -> bool:
    """Whether a device computes bfloat16 products in units of their own.

    Args:
        device: of torch's.
        words: what the processor says it can do; None: ask it.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    return not (_processor_words() if words is None else words).isdisjoint(_CPU_WORDS)


def _device(name: str) -> torch.device:
    """A device that was found to work."""
    try:
        found = torch.device(re.sub(r"^gpu(?=:|$)", "cuda", name))
    except RuntimeError as error:
        raise SettingsError(
            f"Unknown device {name!r}: known are auto, cpu, gpu, cuda, cuda:0, mps and xpu."
        ) from error
    try:
        torch.zeros(1, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SettingsError(
            f"Device {name!r} was asked for, but torch finds none here: take --device cpu, or leave it out."
        ) from error
    return found


def _processor_words(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """What the processor says it can do, by torch where it tells, else by Linux."""
    ask = getattr(torch.cpu, "get_capabilities", None)
    if ask is not None:
        return frozenset(word for word, there in ask().items() if there is True)
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    return frozenset(
        word for line in lines if line.startswith(("flags", "Features")) for word in line.split()
    )
