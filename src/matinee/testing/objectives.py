"""Objectives whose best is known, and some that end in every other way."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from matinee.core.errors import Stopped
from matinee.tune.objective import Report

STEPS = 5


def parabola(settings: Mapping[str, Any], report: Report) -> float:
    """0 at x = 0.3, less elsewhere; one step after the other, with a checkpoint after each.

    Settings: x; and, where given, `pause_s`, the seconds of a step, and `steps`.
    """
    x, steps = float(settings["x"]), int(settings.get("steps", STEPS))
    state = report.checkpoints / "state.json"
    done = json.loads(state.read_text(encoding="utf-8"))["done"] if state.exists() else 0
    best = -((x - 0.3) ** 2)
    for step in range(done + 1, steps + 1):
        _pause(report, float(settings.get("pause_s", 0.0)))
        draft = state.with_name("state.json.draft")
        draft.write_text(json.dumps({"done": step}), encoding="utf-8")
        draft.replace(state)
        report(step, best - (1 - step / steps))
    report.tell(began_at=done)
    return best


def _pause(report: Report, seconds: float) -> None:
    """Work that looks up now and then."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(min(0.01, seconds))
        if report.should_stop():
            raise Stopped("asked")


def plain(settings: Mapping[str, Any], report: Report) -> float:
    """The parabola at once, without a step."""
    del report
    return -((float(settings["x"]) - 0.3) ** 2)


def ending(settings: Mapping[str, Any], report: Report) -> Any:
    """Ends as its setting `how` says (`ENDS`); after one reported step where `reports` is set."""
    if settings.get("reports"):
        report(1, 0.5)
    return ENDS[settings["how"]](report)


def _raises(_report: Report) -> Any:
    raise ValueError("seven is\nno color")


def _goes_back(report: Report) -> Any:
    report(1, 0.5)
    report(1, 0.6)


def _stubborn(_report: Report) -> Any:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    time.sleep(3600)


def _prints(_report: Report) -> Any:
    print("words of the objective", flush=True)
    return 1.0


def _eats(_report: Report) -> Any:
    """Take memory until somebody minds: 4 GiB at most, written to, so that it is really there."""
    held = []
    for _ in range(256):
        held.append(bytearray(os.urandom(1) * 2**24))
        time.sleep(0.01)
    time.sleep(60)


ENDS: Mapping[str, Callable[[Report], Any]] = {
    "raises": _raises,
    "nan": lambda report: report(2, float("nan")),
    "word": lambda _report: "good",
    "back": _goes_back,
    "killed": lambda _report: os.kill(os.getpid(), signal.SIGKILL),
    "segv": lambda _report: os.kill(os.getpid(), signal.SIGSEGV),
    "leaves": lambda _report: os._exit(3),
    "hangs": lambda _report: time.sleep(3600),
    "stubborn": _stubborn,
    "prints": _prints,
    "eats": _eats,
}


def made(power: float) -> Any:
    """What builds an objective: the distance from 0.3, to a power."""

    def objective(settings: Mapping[str, Any], report: Report) -> float:
        del report
        return float(-(abs(float(settings["x"]) - 0.3) ** power))

    return objective
