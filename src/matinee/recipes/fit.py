"""From a log to a bundle: look ahead whether it can be done, choose, fit, write, say what was done."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from matinee.answers.bundle import refuse_foreign
from matinee.answers.manifest import is_bundle, read_tombstones
from matinee.answers.model import Model
from matinee.core.errors import InputError, SettingsError, TooLarge, unknown_name
from matinee.core.memory import require, size_words
from matinee.data.forget import forget
from matinee.data.log import InteractionLog
from matinee.data.protocols import PROTOCOLS
from matinee.data.split import Split, refuse_values, split_log
from matinee.recipes.choose import (
    METRIC,
    PEOPLE,
    Choice,
    candidates,
    choose,
    split_to_choose_on,
    why_not_default,
)
from matinee.recipes.isolate_run import cpu_s, peak_rss_mb
from matinee.recommenders import make_recommender

Progress = Callable[[str, float], None]

# A bundle's weights are at most this; what the sums of a fit add is as predicted for its memory.
_WEIGHTS_BYTES = 2**30
_EVENT_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How to fit.

    Attributes:
        recommender: its name; None: the one that validation chooses.
        settings: settings that differ from its defaults.
        hold_out: a protocol whose test events the fit must not see; None: fit on everything.
        seed: seed of everything random.
        histories: whether the model may answer from, and the bundle keep, people's histories.
    """

    recommender: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    hold_out: str | None = None
    seed: int = 0
    histories: bool = True

    def check(self) -> None:
        """Refuse what no log could make right.

        Raises:
            SettingsError: an unknown recommender, setting or protocol, settings of no recommender, or a
                recommender that cannot do without histories.
        """
        if self.recommender is not None:
            make_recommender(self.recommender, self.settings)
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
) -> Model:
    """Fit a recommender on a log.

    Args:
        log: what `read_log` returned.
        recommender: any name of `matinee.recommenders()`; None: the one that validation chooses.
        settings: settings that differ from its defaults.
        hold_out: a protocol such as "time-split": the fit does not see its test events.
        seed: seed of everything random.

    Returns:
        The model; `facts` says what it was fitted on and what validation said of it.

    Raises:
        SettingsError: an unknown recommender, setting or protocol; or the log's ratings are to be predicted.
        TooLarge: the fit would need more memory than there is.
    """
    options = FitOptions(recommender=recommender, settings=settings or {}, hold_out=hold_out, seed=seed)
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
    choice = None if options.recommender else _choose(log, held, options, progress)
    name = options.recommender or (choice.name if choice else "popularity")
    progress(f"fitting {name}", 0.9)
    started = cpu_s()
    model: Model = make_recommender(name, options.settings).fit(learnt, seed=options.seed)
    facts = {
        **model.facts,
        "matinee": version("matinee"),
        "seed": options.seed,
        "fitted_on": "train and validation" if held else "everything",
        "split": held.facts() if held else None,
        "metrics": choice.metrics if choice else {},
        "metrics_from": _metrics_from(choice, held),
        "tried": choice.means if choice else {},
        "chosen_by": choice.protocol if choice else None,
        "chosen_by_because": "" if choice is None or held else why_not_default(log, choice.protocol),
        "fit_cpu_s": round(cpu_s() - started, 3),
        "all_cpu_s": round(cpu_s() - cpu, 3),
        "all_wall_s": round(time.perf_counter() - wall, 3),
    }
    return replace(model, facts=facts)


def fit_bundle(
    log: InteractionLog,
    output: str | os.PathLike[str],
    options: FitOptions,
    progress: Progress = lambda _doing, _share: None,
) -> Fitted:
    """Fit and write a bundle; viewers who were deleted from the bundle that is there stay deleted.

    Raises:
        InputError: the output cannot be written there.
        TooLarge: the disk, or the memory, would not be enough.
    """
    folder = Path(output)
    check_folder(folder)
    log = forget(log, read_tombstones(folder) if is_bundle(folder) else frozenset())
    _check_disk(folder, log)
    model = fit_model(log, options, progress)
    progress("writing the bundle", 0.95)
    model.save(folder, histories=options.histories)
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
    log: InteractionLog, held: Split | None, options: FitOptions, progress: Progress
) -> Choice | None:
    """What validation chooses; None where the log is too short to ask it."""
    split = held or split_to_choose_on(log, seed=options.seed)
    if split is None or not len(split.validation):
        return None
    names = candidates(log, histories=options.histories)
    return choose(split, names, seed=options.seed, progress=progress)


def _metrics_from(choice: Choice | None, held: Split | None) -> str:
    if choice is None:
        return "nothing: this fit was not judged; `matinee compare` judges"
    part = "the split held out" if held else f"a {choice.protocol} of the log"
    return f"validation of {part}, {METRIC} and others, by a fit on its training events; not the test"
