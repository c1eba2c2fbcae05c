"""The inside of a fit's own process: `python -m matinee.recipes.isolate_run FOLDER PARENT`."""

from __future__ import annotations

import json
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from matinee.answers.model import Model
from matinee.core.errors import MatineeError, Stopped
from matinee.core.run import Run
from matinee.core.seeds import generator
from matinee.core.settings import config_values
from matinee.core.stopping import end_with, stop_on_signals
from matinee.core.threads import few_threads
from matinee.data.log import InteractionLog
from matinee.data.queries import Queries
from matinee.recipes.handover import Handover, open_handover
from matinee.recipes.isolate import SAMPLED_VIEWERS, STOPPED
from matinee.recipes.judged import answer_time, judged
from matinee.recipes.kept import KeptParts
from matinee.recipes.rows import note_of, predicted, trains
from matinee.recipes.spent import Meter, peak_rss_mb, write_facts
from matinee.recommenders import make_recommender


def main(words: Sequence[str]) -> None:
    """Do a job: its folder, and the process that asked for it, with which this one ends."""
    end_with(int(words[1]))
    # Ctrl-C reaches every process of a terminal; the one that asked for this job decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run_job(Path(words[0]))
    except Stopped:
        sys.exit(STOPPED)


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
            with few_threads(predicted(job["name"], settings, log).cpu_s):
                report = _one_try(job, handover, log, settings, folder / str(number))
        except Stopped:
            raise
        except MatineeError as error:
            report = _failure(settings, str(error))
        except MemoryError:
            report = _failure(settings, "It ran out of memory.")
        except Exception as error:  # whatever one recommender does, the others go on
            traceback.print_exc()
            report = _failure(settings, f"{type(error).__name__}: {error}")
        write_facts(path, report)


def _one_try(
    job: dict[str, Any], handover: Handover, log: InteractionLog, settings: dict[str, Any], place: Path
) -> dict[str, Any]:
    recommender = make_recommender(job["name"], settings)
    kept = KeptParts(Path(job["kept"]), job["fit_on"]) if job.get("kept") else None
    meter = Meter(Path(f"{place}.step.json"))
    model = _fitted(recommender, log, job, kept, meter, place)
    taken = _taken(meter, kept)
    _answer_once(model)
    ready = _taken(meter, kept)
    found, before = {}, meter.cpu_s
    for name in job["judge"]:
        queries = handover.queries(name)
        if job["sample"]:
            queries = sampled(queries, SAMPLED_VIEWERS, job["seed"])
        found[name] = _judged(model, queries, job["at"], Path(f"{place}-{name}"))
    judging = meter.cpu_s - before
    timed = handover.queries("test") if job["timed"] else None
    answer_ms = float("nan") if timed is None else answer_time(model, timed)
    if kept is not None and (job["keep"] or trains(job["name"])):
        kept.keep_model(model, job["seed"], taken)
    return {
        **ready,
        "settings": config_values(recommender.config),
        "found_cpu_s": 0.0 if kept is None else kept.found_cpu_s,
        "found_wall_s": 0.0 if kept is None else kept.found_wall_s,
        "judge_cpu_s": judging,
        "answer_ms": answer_ms,
        "note": note_of(model),
        "found": found,
    }


def _fitted(
    recommender: Any,
    log: InteractionLog,
    job: dict[str, Any],
    kept: KeptParts | None,
    meter: Meter,
    place: Path,
) -> Model:
    """The model of one try: one that trains in steps is found where an earlier try was the same."""
    if not trains(job["name"]):
        plain: Model = recommender.fit(log, seed=job["seed"])
        return plain
    if kept is not None:
        found = kept.find_model(job["name"], config_values(recommender.config), job["seed"], log)
        if found is not None:
            return found
    with stop_on_signals(patient=True) as asked:
        run = Run(
            device=job["device"],
            precision=job["precision"],
            checkpoints=Path(f"{place}.checkpoints") if job["checkpoints"] else None,
            checkpoint_every_s=job["checkpoint_every_s"],
            should_stop=asked,
            tell=meter.tell,
            kept=kept,
        )
        trained: Model = recommender.fit(log, seed=job["seed"], run=run)
    return trained


def _taken(meter: Meter, kept: KeptParts | None) -> dict[str, float]:
    """What a fit has taken so far, with what the parts that it found had taken."""
    cost = {"cpu_s": meter.cpu_s, "wall_s": meter.wall_s, "peak_rss_mb": peak_rss_mb()}
    if kept is not None:
        cost["cpu_s"] += kept.found_cpu_s
        cost["wall_s"] += kept.found_wall_s
        cost["peak_rss_mb"] = max(cost["peak_rss_mb"], kept.found_peak_mb)
    return cost


def _answer_once(model: Model) -> None:
    """What a scorer makes for its first answer, such as sorted neighbours, is part of what the fit costs."""
    someone = int(np.argmax(model.log.histories.lengths > 0))
    model.scores(model.askers_of(np.array([someone])))


def _judged(model: Model, queries: Queries, at: list[int], place: Path) -> dict[str, Any]:
    evidence = judged(model, queries, at)
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


def _failure(settings: dict[str, Any], words: str) -> dict[str, Any]:
    return {"error": words, "settings": settings, "found": {}}


if __name__ == "__main__":
    main(sys.argv[1:])
