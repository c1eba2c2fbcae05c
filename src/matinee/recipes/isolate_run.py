"""The inside of a fit's own process: `python -m matinee.recipes.isolate_run FOLDER`."""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from matinee.answers.context import Context
from matinee.answers.model import Model
from matinee.core.errors import MatineeError
from matinee.core.seeds import generator
from matinee.core.settings import config_values
from matinee.data.log import InteractionLog
from matinee.data.queries import Queries
from matinee.evaluate.judge import judge, time_answers
from matinee.recipes.handover import Handover, open_handover
from matinee.recipes.isolate import SAMPLED_VIEWERS
from matinee.recommenders import make_recommender

_STATUS = Path("/proc/self/status")


def run_job(folder: Path) -> None:
    """Fit and judge every try of a job that has no result yet; each result is written at once."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    handover = open_handover(Path(job["handover"]))
    log = handover.log(job["fit_on"])
    for number, settings in enumerate(job["tries"]):
        path = folder / f"{number}.json"
        if path.exists():
            continue
        try:
            report = _one_try(job, handover, log, settings, folder / str(number))
        except MatineeError as error:
            report = _failure(settings, str(error))
        except MemoryError:
            report = _failure(settings, "It ran out of memory.")
        except Exception as error:  # whatever one recommender does, the others go on
            traceback.print_exc()
            report = _failure(settings, f"{type(error).__name__}: {error}")
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(report), encoding="utf-8")
        draft.replace(path)


def _one_try(
    job: dict[str, Any], handover: Handover, log: InteractionLog, settings: dict[str, Any], place: Path
) -> dict[str, Any]:
    recommender = make_recommender(job["name"], settings)
    begin, spent = perf_counter(), cpu_s()
    model: Model = recommender.fit(log, seed=job["seed"])
    _answer_once(model)
    wall, fitted, peak = perf_counter() - begin, cpu_s(), peak_rss_mb()
    found = {}
    for name in job["judge"]:
        queries = handover.queries(name)
        if job["sample"]:
            queries = sampled(queries, SAMPLED_VIEWERS, job["seed"])
        found[name] = _judged(model, queries, job["at"], Path(f"{place}-{name}"))
    judged = cpu_s()
    timed = handover.queries("test") if job["timed"] else None
    return {
        "settings": config_values(recommender.config),
        "cpu_s": fitted - spent,
        "wall_s": wall,
        "judge_cpu_s": judged - fitted,
        "peak_rss_mb": peak,
        "answer_ms": time_answers(model.scores, timed) if timed is not None else float("nan"),
        "note": str(model.facts.get("note", "")),
        "found": found,
    }


def _answer_once(model: Model) -> None:
    """What a scorer makes for its first answer, such as sorted neighbours, is part of what the fit costs."""
    someone = int(np.argmax(model.log.histories.lengths > 0))
    model.scores(model.askers_of(np.array([someone])))


def _judged(model: Model, queries: Queries, at: list[int], place: Path) -> dict[str, Any]:
    context: Context = model.context
    judgement = judge(model.scores, queries, at=at, popularity=context.popularity)
    evidence = judgement.evidence()
    np.save(f"{place}-sums.npy", evidence.sums, allow_pickle=False)
    np.save(f"{place}-counts.npy", evidence.counts, allow_pickle=False)
    return {"names": evidence.names, "coverage": evidence.coverage, "tied": evidence.tied}


def sampled(queries: Queries, most: int, seed: int) -> Queries:
    """The queries of at most so many viewers, drawn at random."""
    viewers = np.unique(queries.viewers)
    if len(viewers) <= most:
        return queries
    drawn = generator(seed, "search viewers").choice(viewers, most, replace=False)
    return queries.take(np.isin(queries.viewers, drawn))


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


def _failure(settings: dict[str, Any], words: str) -> dict[str, Any]:
    return {"error": words, "settings": settings, "found": {}}


if __name__ == "__main__":
    run_job(Path(os.fspath(sys.argv[1])))
