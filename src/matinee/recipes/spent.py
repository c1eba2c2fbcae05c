"""What a fit has taken so far: processor, wall time, memory."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

from matinee.core.run import Step

_STATUS = Path("/proc/self/status")
# Steps that follow each other faster are not written.
_PAUSE_S = 0.5


def cpu_s() -> float:
    """CPU-seconds of this process and of its finished children, user and system."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_rss_mb() -> float:
    """Peak resident memory of this process, in MB of 2**20 bytes."""
    # getrusage would count what the parent had before this program took its place.
    if _STATUS.exists():
        for line in _STATUS.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)


class Meter:
    """What one fit has cost since it began, earlier attempts that were interrupted included.

    Args:
        path: a file that gets the fit's latest step and its cost, at most twice a second; a fit that goes on
            later finds there what it had cost before. None: nowhere.
        listen: called with each step that is written, or would be.
    """

    def __init__(self, path: Path | None, listen: Callable[[Step], None] | None = None) -> None:
        self._path, self._listen = path, listen
        self._cpu, self._begin, self._told = cpu_s(), perf_counter(), 0.0
        facts = read_facts(path) if path is not None else {}
        self.before_cpu_s, self.before_wall_s = facts.get("cpu_s", 0.0), facts.get("wall_s", 0.0)

    @property
    def cpu_s(self) -> float:
        """CPU-seconds so far."""
        return float(self.before_cpu_s + cpu_s() - self._cpu)

    @property
    def wall_s(self) -> float:
        """Wall seconds so far, without what lay between the attempts."""
        return float(self.before_wall_s + perf_counter() - self._begin)

    def tell(self, step: Step) -> None:
        """Take note of a step."""
        now = perf_counter()
        if now - self._told < _PAUSE_S:
            return
        self._told = now
        if self._path is not None:
            spent = {"cpu_s": self.cpu_s, "wall_s": self.wall_s}
            write_facts(self._path, {**asdict(step), **spent, "at": now})
        if self._listen is not None:
            self._listen(step)


def write_facts(path: Path, facts: dict[str, Any]) -> None:
    """Write plain JSON at once: whoever reads finds the old or the new, never half of it."""
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(json.dumps(facts), encoding="utf-8")
    draft.replace(path)


def read_facts(path: Path) -> dict[str, Any]:
    """What `write_facts` wrote; empty where there is nothing."""
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return facts


def taken_before(folder: Path) -> tuple[float, float]:
    """CPU-seconds and wall seconds that an interrupted run had spent on the job of a folder."""
    done = read_facts(folder / "0.json")
    if done and not done.get("error"):
        cpu_s = done["cpu_s"] - done["found_cpu_s"] + done["judge_cpu_s"]
        return cpu_s, done["wall_s"] - done["found_wall_s"]
    begun = read_facts(folder / "0.step.json")
    return begun.get("cpu_s", 0.0), begun.get("wall_s", 0.0)
