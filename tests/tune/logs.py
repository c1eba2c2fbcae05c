"""Made-up studies, written event by event."""

from pathlib import Path

from matinee.tune.budget import Budget
from matinee.tune.events import Log
from matinee.tune.recorder import Recorder

PRICE = 0.01
ABOUT = {
    "space": {"x": {"low": 0, "high": 1, "log": False, "whole": False}},
    "seed": 0,
    "steps": 3,
    "region": None,
}


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def begun(folder=None, *, dollars=10.0, seconds=None, clock=None):
    """A recorder of a study that has begun; in memory without a folder."""
    clock = clock or Clock()
    log = Log(folder) if folder is not None else None
    recorder = Recorder(log, clock, lambda: 1e9 + clock.now)
    recorder.begin(Budget(dollars=dollars, seconds=seconds), PRICE, ABOUT, folder or Path("memory"))
    return recorder


def created(recorder, number, x=0.5, **more):
    about = {"seed": number, "why": "start", "repeats": None, "steps": 3, "region": None}
    recorder.note("created", number, settings={"x": x}, **{**about, "seconds": 0.1, "dollars": 0.001, **more})


def leased(recorder, number, limit=1.0):
    recorder.note("leased", number, attempt=1, limit_dollars=limit)


def one_of_each(recorder):
    """The events of one trial, most kinds among them."""
    created(recorder, 1)
    leased(recorder, 1)
    recorder.note("reported", 1, step=1.0, value=0.5, seconds=5.0, dollars=0.05)
    recorder.note("checkpointed", 1, kept_dollars=0.05, seconds=5.0, dollars=0.05)
    recorder.note("preempted", 1, reason="Killed.", seconds=6.0, dollars=0.06)
    recorder.note("heartbeat")
    leased(recorder, 1)
    recorder.note("finished", 1, value=1.0, seconds=2.0, dollars=0.02)
    recorder.note("closed", state="done", reason="The time is up.", best=1)


def whole_study(recorder):
    """One trial of every end."""
    for number in range(1, 6):
        created(recorder, number, x=number / 10)
        leased(recorder, number)
        for step in (1, 2):
            cost = {"seconds": 5.0 * step, "dollars": 0.05 * step}
            recorder.note("reported", number, step=float(step), value=number + step / 10, **cost)
    recorder.note("told", 1, facts={"size": 7})
    recorder.note("finished", 1, value=1.5, seconds=15.0, dollars=0.15)
    recorder.note("stopped", 2, reason="The search stopped it early.", seconds=11.0, dollars=0.11)
    recorder.note("failed", 3, reason="It raised ValueError.", seconds=12.0, dollars=0.12)
    recorder.note("checkpointed", 4, kept_dollars=0.08, seconds=11.0, dollars=0.11)
    recorder.note("preempted", 4, reason="Killed.", seconds=13.0, dollars=0.13)
    recorder.note("heartbeat")
