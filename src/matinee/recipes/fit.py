"""From a log to a bundle: look ahead whether it can be done, choose, fit, write, say what was done."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from matinee.answers.bundle import refuse_foreign
from matinee.answers.manifest import is_bundle, read_tombstones
from matinee.answers.model import Model
from matinee.core.electricity import electricity_dollars
from matinee.core.errors import InputError, SettingsError, Stopped, TooLarge, unknown_name
from matinee.core.memory import require, size_words
from matinee.core.run import Run, Step
from matinee.core.settings import config_values
from matinee.core.threads import few_threads
from matinee.data.fingerprint import fingerprint_ids
from matinee.data.forget import forget
from matinee.data.log import InteractionLog
from matinee.data.protocols import PROTOCOLS
from matinee.data.split import Split, refuse_values, split_log
from matinee.recipes.choose import (
    METRIC,
    Choice,
    choose,
    split_to_choose_on,
    why_not_default,
)
from matinee.recipes.kept import KeptParts
from matinee.recipes.progress import Progress, Slot
from matinee.recipes.rows import PEOPLE, Rows, default_rows, missing, note_of, require_place, trains
from matinee.recipes.spent import Meter, cpu_s, peak_rss_mb
from matinee.recipes.stopping import stop_on_signals
from matinee.recipes.unfinished import begin_at, unfinished_of
from matinee.recommenders import make_recommender

# A bundle's weights are at most this; what the sums of a fit add is as predicted for its memory.
_WEIGHTS_BYTES = 2**30
_EVENT_BYTES = 16

# The share of the bar that choosing takes.
_CHOOSING = 0.6


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How to fit.

    Attributes:
        recommender: its name; None: the one that validation chooses.
        settings: settings that differ from its defaults.
        hold_out: a protocol whose test events the fit must not see; None: fit on everything.
        seed: seed of everything random.
        histories: whether the model may answer from, and the bundle keep, people's histories.
        run: how a recommender that trains in steps is fitted. Where it has checkpoints, everything that is
            finished is kept there, and a fit that was broken off goes on from it.
        resume: go on from the unfinished fit beside the bundle, instead of starting afresh.
        from_store: what tells the store that the log is from; a server on that store has nothing to take in
            of the bundle. Empty: it is from files.
    """

    recommender: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    hold_out: str | None = None
    seed: int = 0
    histories: bool = True
    run: Run = field(default_factory=Run)
    resume: bool = False
    from_store: str = ""

    def check(self) -> None:
        """Refuse what no log could make right.

        Raises:
            SettingsError: an unknown recommender, setting or protocol, settings of no recommender, or a
                recommender that cannot do without histories.
            MissingExtra: what the recommender needs is not installed.
        """
        if self.recommender is not None:
            make_recommender(self.recommender, self.settings)
            error = missing(self.recommender)
            if error is not None:
                raise error
            if not self.histories and self.recommender in PEOPLE:
                raise SettingsError(
                    f"{self.recommender} answers from other people's histories: keep them in the bundle "
                    "(leave --no-histories out), or take another recommender."
                )
        elif self.settings:
            raise SettingsError("Settings belong to a recommender: name it (--recommender NAME).")
        if self.hold_out is not None and self.hold_out not in PROTOCOLS:
            raise unknown_name("protocol", self.hold_out, PROTOCOLS)


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


def fit_model(
    log: InteractionLog, options: FitOptions, progress: Progress = lambda _doing, _share: None
) -> Model:
    """Fit as the options say; the story of `fit`."""
    options.check()
    refuse_values(log)
    cpu, wall = cpu_s(), time.perf_counter()
    held = split_log(log, options.hold_out, seed=options.seed) if options.hold_out else None
    learnt = held.train_and_validation if held else log
    if options.recommender is not None:
        _look_ahead(options.recommender, options.settings, learnt)
    rows = _rows(log, options)
    require_place(rows.names, options.run)
    choice = None if options.recommender else _choose(log, held, rows, options, progress)
    name = options.recommender or (choice.name if choice else "popularity")
    slot = Slot(name, progress, 0.0 if options.recommender else _CHOOSING, 0.95)
    model, meter = _fit_last(name, learnt, options, slot)
    before_cpu = meter.before_cpu_s + (choice.before_cpu_s if choice else 0.0)
    before_wall = meter.before_wall_s + (choice.before_wall_s if choice else 0.0)
    all_wall = before_wall + time.perf_counter() - wall
    facts = {
        **model.facts,
        "note": note_of(model),
        "trained": _trained(model),
        "matinee": version("matinee"),
        "seed": options.seed,
        **({"from_store": options.from_store} if options.from_store else {}),
        "fitted_on": "train and validation" if held else "everything",
        "split": held.facts() if held else None,
        "metrics": choice.metrics if choice else {},
        "metrics_from": _metrics_from(choice, held),
        "tried": choice.means if choice else {},
        "left_out": rows.left_out,
        "chosen_by": choice.protocol if choice else None,
        "chosen_by_because": "" if choice is None or held else why_not_default(log, choice.protocol),
        "fit_cpu_s": round(meter.cpu_s, 3),
        "all_cpu_s": round(before_cpu + cpu_s() - cpu, 3),
        "all_wall_s": round(all_wall, 3),
        "all_dollars": electricity_dollars(all_wall),
    }
    return replace(model, facts=facts)


def _trained(model: Model) -> dict[str, Any] | None:
    """How long the model's network was trained, and what it came to; None where it has none."""
    for part in model.parts.values():
        if "passes_made" in part.settings:
            return {
                "passes": part.settings["passes_made"],
                "stopped_early": part.settings.get("stopped_early", False),
                "validation": part.settings.get("validation"),
            }
    return None


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
    with stop_on_signals() if place else nullcontext(options.run.should_stop) as asked:
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
) -> Fitted:
    """Fit and write a bundle; viewers who were deleted from the bundle that is there stay deleted.

    A fit that chooses, or that trains in steps, keeps what is finished in a folder beside the bundle until
    the bundle is written: `matinee.recipes.unfinished`.

    Raises:
        InputError: the output cannot be written there, or another fit is to be gone on with.
        TooLarge: the disk, or the memory, would not be enough.
        Stopped: Ctrl-C or SIGTERM, and the unfinished fit is kept.
    """
    options.check()
    folder = Path(output)
    check_folder(folder)
    log = forget(log, read_tombstones(folder) if is_bundle(folder) else frozenset())
    _check_disk(folder, log)
    place = unfinished_of(folder)
    if options.recommender is None or trains(options.recommender):
        begin_at(place, _identity(log, options), resume=options.resume)
        options = replace(options, run=replace(options.run, checkpoints=place))
    try:
        model = fit_model(log, options, progress)
    except (KeyboardInterrupt, Stopped) as stop:
        if options.run.checkpoints is None:
            raise
        raise Stopped(f"Stopped; what is finished is kept in {place}.") from stop
    progress("writing the bundle", 0.95)
    model.save(folder, histories=options.histories)
    if options.run.checkpoints is not None:
        shutil.rmtree(place, ignore_errors=True)
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


def _identity(log: InteractionLog, options: FitOptions) -> dict[str, Any]:
    """What tells a fit from every other: an unfinished one is gone on with only where all of it agrees."""
    name = options.recommender
    settings = config_values(make_recommender(name, options.settings).config) if name else {}
    return {
        "matinee": version("matinee"),
        "log": log.fingerprint,
        "set of viewers": fingerprint_ids(log.viewers),
        "set of items": fingerprint_ids(log.items),
        "recommender": name,
        **{f"setting {key}": value for key, value in settings.items()},
        "hold-out": options.hold_out,
        "seed": options.seed,
        "use of histories": options.histories,
    }


def check_folder(folder: Path) -> None:
    """Refuse, before any work, a place where no bundle could be written after it.

    Raises:
        InputError: something else is there, or the folder above cannot be written.
    """
    refuse_foreign(folder)
    above = next(one for one in folder.absolute().parents if one.exists())
    try:
        # Rights alone do not tell: the disk may be mounted to be read only.
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        raise InputError(
            f"{folder}: {above} cannot be written ({error.strerror}); name another folder for the bundle."
        ) from error


def _look_ahead(name: str, settings: Mapping[str, Any], log: InteractionLog) -> None:
    """Refuse what would not fit into memory, before any work."""
    needed = make_recommender(name, settings).needs(log).memory_bytes
    require(needed, f"fitting {name}", "take another recommender, or a machine with more")


def _seen(log: InteractionLog) -> int:
    """Viewers with an event."""
    return int(np.count_nonzero(log.histories.lengths))


def _check_disk(folder: Path, log: InteractionLog) -> None:
    above = next(one for one in folder.absolute().parents if one.exists())
    free = shutil.disk_usage(above).free
    dense = 4 * log.n_items * log.n_items
    needed = _EVENT_BYTES * len(log) + log.item_table.nbytes + min(dense, _WEIGHTS_BYTES)
    if needed > free:
        raise TooLarge(
            f"{folder}: the bundle would take about {size_words(needed)}, {above} has {size_words(free)} "
            "free."
        )


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


def _metrics_from(choice: Choice | None, held: Split | None) -> str:
    if choice is None:
        return "nothing: this fit was not judged; `matinee compare` judges"
    part = "the split held out" if held else f"a {choice.protocol} of the log"
    return f"validation of {part}, {METRIC} and others, by a fit on its training events; not the test"
