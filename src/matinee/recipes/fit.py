"""From a log to a bundle: look ahead whether it can be done, choose, fit, write, say what was done."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from matinee.answers.manifest import is_bundle, read_tombstones
from matinee.answers.model import Model
from matinee.core.electricity import electricity_dollars
from matinee.core.run import Run, Step
from matinee.core.settings import config_values
from matinee.core.stopping import stop_on_signals
from matinee.core.threads import few_threads
from matinee.core.version import version
from matinee.data.content import fingerprint_content
from matinee.data.fingerprint import fingerprint_ids
from matinee.data.forget import forget
from matinee.data.homes import Homes
from matinee.data.log import InteractionLog
from matinee.data.split import Split, split_log
from matinee.recipes.choose import (
    Choice,
    aim_to_choose_by,
    choose,
    split_to_choose_on,
    why_not_default,
)
from matinee.recipes.fit_options import FitOptions
from matinee.recipes.fit_regions import ByRegion, fit_regions, homes_to_fit_by
from matinee.recipes.kept import KeptParts
from matinee.recipes.look_ahead import check_disk, check_folder, check_memory
from matinee.recipes.progress import Progress, Slot
from matinee.recipes.rows import (
    Rows,
    default_rows,
    joined_of,
    note_of,
    plainest,
    require_aim,
    trained_of,
    trains,
)
from matinee.recipes.spent import Meter, cpu_s, peak_rss_mb
from matinee.recipes.unfinished import begun, unfinished_of
from matinee.recommenders import make_recommender

__all__ = ["FitOptions", "Fitted", "fit", "fit_bundle", "fit_model"]

# The share of the bar that choosing takes, and that everything takes which is fitted for everybody.
_CHOOSING = 0.6
_SHARED = 0.65


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What a fit did.

    Attributes:
        model: the fitted model.
        bundle: where it was written.
        facts: the JSON of `fit`.
    """

    model: Model
    bundle: Path
    facts: dict[str, Any]


def fit(
    log: InteractionLog,
    recommender: str | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    hold_out: str | None = None,
    seed: int = 0,
    run: Run | None = None,
) -> Model:
    """Fit a recommender on a log.

    Args:
        log: what `read_log` returned.
        recommender: any name of `matinee.recommenders()`; None: the one that validation chooses.
        settings: settings that differ from its defaults.
        hold_out: a protocol such as "time-split": the fit does not see its test events.
        seed: seed of everything random.
        run: device and precision of a recommender that trains in steps, who is told how far it is, who may
            stop it, and a folder for checkpoints that the same fit goes on from.

    Returns:
        The model; `facts` says what it was fitted on and what validation said of it.

    Raises:
        SettingsError: an unknown recommender, setting or protocol; or the log's ratings are to be predicted.
        TooLarge: the fit would need more memory than there is.
        Stopped: the run was asked to stop.
    """
    options = FitOptions(
        recommender=recommender, settings=settings or {}, hold_out=hold_out, seed=seed, run=run or Run()
    )
    return fit_model(log, options)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """A fit that nothing stands against.

    Attributes:
        log: the log.
        options: how to fit.
        held: the split whose test is held out; None: nothing is.
        homes: where viewers are, where regions may have models of their own; else None.
        rows: the candidates, or the one that was named.
        cpu_s: where the process's CPU-seconds stood at the beginning.
        began: where its clock stood.
    """

    log: InteractionLog
    options: FitOptions
    held: Split | None
    homes: Homes | None
    rows: Rows
    cpu_s: float
    began: float


def _plan(log: InteractionLog, options: FitOptions) -> _Plan:
    """Refuse what cannot be done, before any work."""
    cpu, began = cpu_s(), time.perf_counter()
    options.check()
    require_aim([options.recommender] if options.recommender else [], log.target)
    homes = homes_to_fit_by(log, options.by) if options.by is not None else None
    held = split_log(log, options.hold_out, seed=options.seed) if options.hold_out else None
    if options.recommender is not None:
        check_memory(options.recommender, options.settings, held.train_and_validation if held else log)
    rows = _rows(log, options)
    return _Plan(log=log, options=options, held=held, homes=homes, rows=rows, cpu_s=cpu, began=began)


def fit_model(
    log: InteractionLog, options: FitOptions, progress: Progress = lambda _doing, _share: None
) -> Model:
    """Fit as the options say, in memory."""
    return _fit_planned(_plan(log, options), options.run, progress)


def _fit_planned(plan: _Plan, run: Run, progress: Progress) -> Model:
    """The story of `fit`.

    Args:
        plan: what is fitted.
        run: how; the plan's own has no place for checkpoints yet.
        progress: called with what is being done and the share that is done.
    """
    log, held, rows = plan.log, plan.held, plan.rows
    options = replace(plan.options, run=run)
    learnt = held.train_and_validation if held else log
    choice = None if options.recommender else _choose(log, held, rows, options, progress)
    name = options.recommender or (choice.name if choice else plainest(log.target))
    end = 0.95 if plan.homes is None else _SHARED
    slot = Slot(name, progress, 0.0 if options.recommender else min(_CHOOSING, end - 0.05), end)
    model, meter = _fit_last(name, learnt, options, slot)
    fit_cpu = meter.cpu_s
    own = None if plan.homes is None else _fit_own(plan, plan.homes, options, model, progress)
    model = model if own is None else own.model
    before = [one for one in (meter, choice, own) if one is not None]
    before_cpu, before_wall = (
        sum(one.before_cpu_s for one in before),
        sum(one.before_wall_s for one in before),
    )
    all_wall = before_wall + time.perf_counter() - plan.began
    facts = {
        **model.facts,
        "note": note_of(model) or _why_plainest(choice, options, name),
        "trained": trained_of(model),
        "joined": joined_of(model),
        "matinee": version("matinee"),
        "seed": options.seed,
        **({"from_store": options.from_store, "read_ms": options.read_ms} if options.from_store else {}),
        "fitted_on": "train and validation" if held else "everything",
        "split": held.facts() if held else None,
        "metrics": choice.metrics if choice else {},
        "metrics_from": _metrics_from(choice, held, aim_to_choose_by(log).metric),
        "tried": choice.means if choice else {},
        "left_out": rows.left_out,
        "chosen_metric": aim_to_choose_by(log).metric if choice else None,
        "chosen_by": choice.protocol if choice else None,
        "chosen_by_because": "" if choice is None or held else why_not_default(log, choice.protocol),
        **({} if own is None else {"regions": own.facts}),
        "fit_cpu_s": round(fit_cpu + (own.cpu_s if own else 0.0), 3),
        "all_cpu_s": round(before_cpu + cpu_s() - plan.cpu_s, 3),
        "all_wall_s": round(all_wall, 3),
        "all_dollars": electricity_dollars(all_wall),
    }
    return replace(model, facts=facts)


def _fit_own(plan: _Plan, homes: Homes, options: FitOptions, shared: Model, progress: Progress) -> ByRegion:
    """The models of regions beside the shared one."""
    # A region has few viewers: everything that they did later tells more of them than what they did next.
    split = plan.held or split_to_choose_on(plan.log, seed=options.seed, targets="successive")

    def tell(doing: str, share: float) -> None:
        progress(f"regions: {doing}", _SHARED + (0.95 - _SHARED) * share)

    return fit_regions(shared, split, homes, options, tell)


def _why_plainest(choice: Choice | None, options: FitOptions, name: str) -> str:
    """A note where nobody named a recommender and the log is too short to choose one."""
    if choice or options.recommender:
        return ""
    return f"Too few events to hold any back: nothing was tried, and {name} is fitted."


def _rows(log: InteractionLog, options: FitOptions) -> Rows:
    """The candidates, or the one that was named."""
    if options.recommender is not None:
        return Rows(names=[options.recommender], left_out=[])
    return default_rows(log, histories=options.histories)


def _fit_last(name: str, log: InteractionLog, options: FitOptions, slot: Slot) -> tuple[Model, Meter]:
    """The fit that stays, and what it took; nothing in it comes from a smaller log."""
    recommender: Any = make_recommender(name, options.settings)
    place = options.run.checkpoints
    if not trains(name):
        meter = Meter(None)
        with few_threads(recommender.needs(log).cpu_s):
            return recommender.fit(log, seed=options.seed), meter

    def listen(step: Step) -> None:
        slot.tell(step)
        options.run.tell(step)

    meter = Meter(place / "final.step.json" if place else None, listen)
    # Without a place for checkpoints, Ctrl-C has nothing to wait for.
    patient = options.run.processes.size > 1
    with stop_on_signals(patient=patient) if place else nullcontext(options.run.should_stop) as asked:
        run = replace(
            options.run,
            checkpoints=place / "final" if place else None,
            should_stop=lambda: asked() or options.run.should_stop(),
            tell=meter.tell,
            kept=KeptParts(place / "final.kept", "all", sums=True) if place else None,
        )
        with few_threads(recommender.needs(log).cpu_s):
            model: Model = recommender.fit(log, seed=options.seed, run=run)
    return model, meter


def fit_bundle(
    log: InteractionLog,
    output: str | os.PathLike[str],
    options: FitOptions,
    progress: Progress = lambda _doing, _share: None,
    say: Callable[[str], None] = lambda _words: None,
) -> Fitted:
    """Fit and write a bundle; viewers who were deleted from the bundle that is there stay deleted.

    A fit that chooses, or that trains in steps, keeps what is finished in a folder beside the bundle until
    the bundle is written: `matinee.recipes.unfinished`.

    Args:
        log: the log.
        output: the bundle's folder.
        options: how to fit.
        progress: called with what is being done and the share that is done.
        say: told what becomes of a fit that was broken off, once nothing stands against this one.

    Raises:
        InputError: the output cannot be written there, or another fit is to be gone on with.
        TooLarge: the disk, or the memory, would not be enough.
        Stopped: Ctrl-C or SIGTERM, and the unfinished fit is kept.
    """
    options.check()
    folder = Path(output)
    check_folder(folder)
    log = forget(log, read_tombstones(folder) if is_bundle(folder) else frozenset())
    check_disk(folder, log)
    plan = _plan(log, options)
    place = unfinished_of(folder)
    if options.recommender is None or options.by is not None or trains(options.recommender):
        with begun(place, _identity(log, options), resume=options.resume, say=say):
            model = _fit_planned(plan, replace(options.run, checkpoints=place), progress)
            _save(model, folder, options, progress)
    else:
        if options.resume:
            say(f"Nothing of {options.recommender} is kept on the way: starting from the beginning.")
        model = _fit_planned(plan, options.run, progress)
        _save(model, folder, options, progress)
    facts = {
        "bundle": str(folder),
        "recommender": model.name,
        "settings": dict(model.config),
        "keeps_histories": options.histories,
        "events": len(model.log),
        "viewers": _seen(model.log),
        "items": log.n_items,
        "log_events": len(log),
        "log_viewers": _seen(log),
        "log_sha256": log.fingerprint,
        **model.facts,
        "bundle_bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        "peak_rss_mb": round(peak_rss_mb(), 1),
    }
    return Fitted(model=model, bundle=folder, facts=facts)


def _save(model: Model, folder: Path, options: FitOptions, progress: Progress) -> None:
    progress("writing the bundle", 0.95)
    model.save(folder, histories=options.histories)


def _identity(log: InteractionLog, options: FitOptions) -> dict[str, Any]:
    """What tells a fit from every other: an unfinished one is gone on with only where all of it agrees."""
    name = options.recommender
    settings = config_values(make_recommender(name, options.settings).config) if name else {}
    return {
        "matinee": version("matinee"),
        "log": log.fingerprint,
        "set of viewers": fingerprint_ids(log.viewers),
        "set of items": fingerprint_ids(log.items),
        "what items are": fingerprint_content(log.item_table, log.vectors),
        "recommender": name,
        **{f"setting {key}": value for key, value in settings.items()},
        "hold-out": options.hold_out,
        "seed": options.seed,
        "use of histories": options.histories,
        # What a fit that was broken off before there were regions says: nothing.
        "column of regions": options.by,
        "place of viewers": None if options.by is None else homes_to_fit_by(log, options.by).fingerprint,
        "settings of regions": {name: dict(one) for name, one in options.region_settings.items()} or None,
        "least number of viewers": None if options.by is None else options.least_viewers,
    }


def _seen(log: InteractionLog) -> int:
    """Viewers with an event."""
    return int(np.count_nonzero(log.histories.lengths))


def _choose(
    log: InteractionLog, held: Split | None, rows: Rows, options: FitOptions, progress: Progress
) -> Choice | None:
    """What validation chooses; None where the log is too short to ask it."""
    split = held or split_to_choose_on(log, seed=options.seed)
    if split is None or not len(split.validation):
        return None
    place = options.run.checkpoints
    run = replace(options.run, checkpoints=place / "choice" if place else None)
    return choose(
        split,
        rows.names,
        seed=options.seed,
        progress=lambda doing, share: progress(f"trying {doing}", _CHOOSING * share),
        run=run,
    )


def _metrics_from(choice: Choice | None, held: Split | None, metric: str) -> str:
    if choice is None:
        return "nothing: this fit was not judged; `matinee compare` judges"
    part = "the split held out" if held else f"a {choice.protocol} of the log"
    return f"validation of {part}, {metric} and others, by a fit on its training events; not the test"
