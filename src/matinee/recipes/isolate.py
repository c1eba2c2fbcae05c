"""A fit in a process of its own: its CPU time and its peak memory are its own, and if it dies, only it does.

The parent writes a job (plain JSON) beside the arrays of `handover`, starts the program of `isolate_run`, and
reads what that wrote: JSON and `.npy`. No code and no model passes between them. While a fit trains in steps,
a small file says how far it is; when the parent ends, however it does, its fit ends with it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from matinee.core.errors import Stopped
from matinee.core.run import Run, Step
from matinee.evaluate.evidence import Evidence
from matinee.recipes.spent import read_facts

SAMPLED_VIEWERS = 2_000

# The exit status of a fit that saved its checkpoint because it was asked to stop.
STOPPED = 75

# How often the parent looks how far a fit is, and how long it waits for one to save its checkpoint.
_LOOK_S = 0.25
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_SAVE_S = 60.0

Found = Evidence


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a process is to do.

    Attributes:
        name: the recommender.
        tries: settings to fit with, one after the other.
        fit_on: the log of the handover to fit on, such as "train", or "train@2" for that of one home.
        judge: which queries of the handover to judge each fit by, such as "validation" or "validation@2".
        sample: judge at most 2,000 viewers, drawn at random: for searches.
        at: lengths of the list.
        seed: seed of the fit and of the sample.
        timed: whether to measure the time of one answer.
        kept: a folder where parts are found that were fitted on the same log before (`matinee.recipes.kept`),
            and where those of a recommender that trains in steps are kept; None: nowhere.
        keep: whether to keep the parts of any other recommender there too.
        threads: how many threads the libraries of linear algebra take; None: as they are set here.
    """

    name: str
    tries: Sequence[Mapping[str, Any]]
    fit_on: str = "train"
    judge: Sequence[str] = ("validation", "test", "newcomers")
    sample: bool = False
    at: Sequence[int] = (10, 20)
    seed: int = 0
    timed: bool = False
    kept: str | None = None
    keep: bool = False
    threads: int | None = None


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What came of one try.

    Attributes:
        error: one sentence where it failed, else empty; then nothing else is known.
        settings: every setting that it was fitted with.
        cpu_s: CPU-seconds of the fit and of getting ready to answer, its children included, and what the
            fits of the parts that it found had taken.
        wall_s: wall seconds of the same.
        found_cpu_s: how much of `cpu_s` was not spent again, because parts were found.
        found_wall_s: the same of `wall_s`.
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
    found_cpu_s: float = 0.0
    found_wall_s: float = 0.0
    judge_cpu_s: float = 0.0
    peak_rss_mb: float = 0.0
    answer_ms: float = float("nan")
    note: str = ""
    found: Mapping[str, Evidence]


def run_isolated(handover: Path, folder: Path, job: Job, run: Run | None = None) -> list[Tried]:
    """Run a job in processes of its own: one, and another for what is left whenever one dies.

    Args:
        handover: the folder that `write_handover` filled.
        folder: where the job and its results go. What an earlier run of the same job finished there is not
            done again; what failed is.
        job: what is to be done.
        run: device and precision of the fits, who is told how far they are, and who may stop them. Where it
            has checkpoints, fits keep theirs in `folder` and go on from them.

    Returns:
        One result a try, in order; a try that failed or killed its process has an error.

    Raises:
        Stopped: a fit was asked to stop, by the run or by a signal.
    """
    run = run or Run()
    folder.mkdir(parents=True, exist_ok=True)
    about = {"device": run.device, "precision": run.precision, "checkpoint_every_s": run.checkpoint_every_s}
    about |= {"checkpoints": run.checkpoints is not None, "handover": str(handover)}
    (folder / "job.json").write_text(json.dumps({**asdict(job), **about}), encoding="utf-8")
    results = [folder / f"{number}.json" for number in range(len(job.tries))]
    for result in results:
        if read_facts(result).get("error"):
            result.unlink()
    for result, settings in zip(results, job.tries, strict=True):
        if result.exists():
            continue
        words = _start(folder, job, run)
        if not result.exists():
            report = {"error": words, "settings": dict(settings), "found": {}}
            result.write_text(json.dumps(report), encoding="utf-8")
    return [_read_tried(folder, number) for number in range(len(job.tries))]


def _start(folder: Path, job: Job, run: Run) -> str:
    """Run the process to its end; a sentence about how it ended, for whoever left no result."""
    with (folder / "words.txt").open("ab") as words:
        process = subprocess.Popen(
            [sys.executable, "-m", "matinee.recipes.isolate_run", str(folder), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            env=os.environ if job.threads is None else {**os.environ, **_threads(job.threads)},
        )
        try:
            status = _watch(process, folder, job, run)
        except BaseException:
            _end(process, patient=run.checkpoints is not None)
            raise
    if status in (STOPPED, -signal.SIGTERM):
        raise Stopped(f"The fit of {job.name} was stopped.")
    if status == -signal.SIGKILL:
        return "Its process was killed by the system, probably for want of memory."
    if status < 0:
        return f"Its process died of {signal.Signals(-status).name}."
    said = (folder / "words.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"Its process ended with status {status}{': ' + said[-1] if said else ''}."


def _threads(most: int) -> dict[str, str]:
    """What holds a process to so many threads, unless it is held to fewer already."""
    found = {}
    for name in _THREADS:
        held = os.environ.get(name, "")
        found[name] = str(min(most, int(held)) if held.isdigit() and int(held) else most)
    return found


def _watch(process: subprocess.Popen[bytes], folder: Path, job: Job, run: Run) -> int:
    """The status with which a process ends; until then, its steps are passed on."""
    told = ""
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(_LOOK_S)
        if run.should_stop():
            raise Stopped(f"The fit of {job.name} was stopped.")
        number = sum((folder / f"{number}.json").exists() for number in range(len(job.tries)))
        facts = read_facts(folder / f"{number}.step.json")
        if facts and facts["at"] != told:
            told = facts["at"]
            run.tell(_step_of(facts, number, len(job.tries)))


def _step_of(facts: Mapping[str, Any], number: int, tries: int) -> Step:
    """A step of one try as a step of the whole job."""
    known = {field.name: facts[field.name] for field in fields(Step)}
    if known["validation"]:
        known["validation"] = tuple(known["validation"])
    if known["passes"]:
        known["passes"] = tuple(known["passes"])
    step = Step(**known)
    if tries == 1:
        return step
    doing = f"try {number + 1} of {tries}, {step.doing}"
    return replace(step, share=(number + step.share) / tries, doing=doing)


def _end(process: subprocess.Popen[bytes], *, patient: bool) -> None:
    """End a process; a patient end lets it save its checkpoint."""
    try:
        process.terminate()
        if patient:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_SAVE_S)
    finally:
        process.kill()
        process.wait()


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
