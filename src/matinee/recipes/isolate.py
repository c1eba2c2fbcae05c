"""A fit in a process of its own: its CPU time and its peak memory are its own, and if it dies, only it does.

The parent writes a job (plain JSON) beside the arrays of `handover`, starts the program of `isolate_run`, and
reads what that wrote: JSON and `.npy`. No code and no model passes between them.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from matinee.evaluate.evidence import Evidence

SAMPLED_VIEWERS = 2_000

Found = Evidence


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a process is to do.

    Attributes:
        name: the recommender.
        tries: settings to fit with, one after the other.
        fit_on: "train" or "train_and_validation".
        judge: which queries to judge each fit by.
        sample: judge at most 2,000 viewers, drawn at random: for searches.
        at: lengths of the list.
        seed: seed of the fit and of the sample.
        timed: whether to measure the time of one answer.
    """

    name: str
    tries: Sequence[Mapping[str, Any]]
    fit_on: str = "train"
    judge: Sequence[str] = ("validation", "test", "newcomers")
    sample: bool = False
    at: Sequence[int] = (10, 20)
    seed: int = 0
    timed: bool = False


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What came of one try.

    Attributes:
        error: one sentence where it failed, else empty; then nothing else is known.
        settings: every setting that it was fitted with.
        cpu_s: CPU-seconds of the fit and of getting ready to answer, its children included.
        wall_s: wall seconds of the same.
        judge_cpu_s: CPU-seconds of judging it.
        peak_rss_mb: the process's peak memory up to the end of the fit.
        answer_ms: milliseconds of one answer; NaN where not measured.
        note: what the fit said about itself, or empty.
        found: what each judged set of queries came to.
    """

    error: str = ""
    settings: Mapping[str, Any]
    cpu_s: float = 0.0
    wall_s: float = 0.0
    judge_cpu_s: float = 0.0
    peak_rss_mb: float = 0.0
    answer_ms: float = float("nan")
    note: str = ""
    found: Mapping[str, Evidence]


def run_isolated(handover: Path, folder: Path, job: Job) -> list[Tried]:
    """Run a job in processes of its own: one, and another for what is left whenever one dies.

    Args:
        handover: the folder that `write_handover` filled.
        folder: where the job and its results go; made here.
        job: what is to be done.

    Returns:
        One result a try, in order; a try that failed or killed its process has an error.
    """
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({**asdict(job), "handover": str(handover)}), encoding="utf-8")
    for number, settings in enumerate(job.tries):
        if (folder / f"{number}.json").exists():
            continue
        words = _start(folder)
        if not (folder / f"{number}.json").exists():
            report = {"error": words, "settings": dict(settings), "found": {}}
            (folder / f"{number}.json").write_text(json.dumps(report), encoding="utf-8")
    return [_read_tried(folder, number) for number in range(len(job.tries))]


def _start(folder: Path) -> str:
    """Run the process to its end; a sentence about how it ended, for whoever left no result."""
    with (folder / "words.txt").open("ab") as words:
        process = subprocess.Popen(
            [sys.executable, "-m", "matinee.recipes.isolate_run", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
        )
        try:
            status = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
    if status == -signal.SIGKILL:
        return "Its process was killed by the system, probably for want of memory."
    if status < 0:
        return f"Its process died of {signal.Signals(-status).name}."
    said = (folder / "words.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"Its process ended with status {status}{': ' + said[-1] if said else ''}."


def _read_tried(folder: Path, number: int) -> Tried:
    report = json.loads((folder / f"{number}.json").read_text(encoding="utf-8"))
    found = {
        name: Evidence(
            names=facts["names"],
            sums=np.load(folder / f"{number}-{name}-sums.npy", allow_pickle=False),
            counts=np.load(folder / f"{number}-{name}-counts.npy", allow_pickle=False),
            coverage=facts["coverage"],
            tied=facts["tied"],
        )
        for name, facts in report.pop("found").items()
    }
    return Tried(found=found, **report)
