"""Judging one bundle on what its fit did not see."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from matinee.answers.model import Model, load
from matinee.core.electricity import electricity_dollars
from matinee.core.errors import BundleError, InputError
from matinee.data.fingerprint import fingerprint_ids
from matinee.data.forget import forget
from matinee.data.log import InteractionLog
from matinee.data.split import Split, split_log
from matinee.evaluate.scoreboard import Row, Scoreboard, make_scoreboard
from matinee.recipes.compare import describe
from matinee.recipes.judged import answer_time, judged
from matinee.recipes.rows import note_of

Progress = Callable[[str, float], None]


def evaluate(  # noqa: PLR0913 (a public door: each is a choice of its own)
    bundle: str | os.PathLike[str] | Model,
    log: InteractionLog,
    *,
    protocol: str | None = None,
    targets: str | None = None,
    at: Sequence[int] = (10, 20),
    seed: int | None = None,
    on_progress: Progress | None = None,
) -> Scoreboard:
    """Judge a bundle that was fitted with --hold-out on the events it was kept from.

    Args:
        bundle: its folder, or the model.
        log: the log that it was fitted on.
        protocol: what it was held out by; None: what the bundle says.
        targets: in a time-split, "next" or "successive"; None: what the bundle says.
        at: lengths of the list.
        seed: seed of the intervals; None: the split's. The split is the fit's, whatever is said here.
        on_progress: called with what is being done and the share that is done.

    Raises:
        InputError: the fit saw the test events, or was made on another log.
        BundleError: the bundle is damaged.
    """
    tell = on_progress or (lambda _doing, _share: None)
    tell("reading the bundle", 0.0)
    model = bundle if isinstance(bundle, Model) else load(Path(bundle))
    split = held_out_split(model, log, protocol, targets)
    tell(f"judging {model.name}", 0.1)
    evidence = judged(model, split.test, at)
    newcomers = split.newcomers
    row = Row(
        name=model.name,
        settings=model.config,
        evidence=evidence,
        newcomers=judged(model, newcomers, at) if len(newcomers) else None,
        costs=_costs(model, split),
        note=note_of(model),
    )
    drawn_by = split.seed if seed is None else seed
    about = {**describe(split, at, drawn_by), "refit": True, "tries": 1}
    return make_scoreboard(about, [row], at=at, seed=drawn_by)


def held_out_split(
    model: Model, log: InteractionLog, protocol: str | None = None, targets: str | None = None
) -> Split:
    """The split that a model was kept from, made again.

    Raises:
        InputError: the fit saw the test events, or was made on another log.
    """
    said: dict[str, Any] = dict(model.facts.get("split") or {})
    if not said.get("hold_out"):
        raise InputError(
            f"This bundle was fitted on {model.facts.get('fitted_on') or 'everything'}: its fit saw the test "
            "events, so no honest figure can come of it. Fit again with --hold-out, such as "
            f"--hold-out {protocol or 'time-split'}."
        )
    if protocol is not None and protocol != said["protocol"]:
        raise InputError(
            f"This bundle was kept from the test of {said['protocol']}; its fit may have seen that of "
            f"{protocol}. Judge it by {said['protocol']}, or fit again with --hold-out {protocol}."
        )
    log = _log_of_fit(model, log, said)
    if not model.log.items.arrow.equals(log.items.arrow):
        raise BundleError(
            f"The bundle's catalogue ({len(model.log.items):,} items) is not this log's ({log.n_items:,}): "
            "give the same --items as the fit had."
        )
    split = split_log(log, said["protocol"], targets=targets or said["targets"], seed=said["seed"])
    if protocol is None:
        split = replace(split, why=f"{split.protocol}, the bundle's own split: {split.division.words}.")
    return split.without(model.deleted)


def _log_of_fit(model: Model, log: InteractionLog, said: Mapping[str, Any]) -> InteractionLog:
    """The log as the fit had it: without those who were deleted before it.

    Raises:
        InputError: it is another log.
    """
    before = [viewer for viewer in model.deleted if viewer not in model.log.viewers]
    # A bundle without histories does not tell who was deleted before its fit: all of them, or nobody.
    for gone in (before, []):
        left = forget(log, gone)
        if left.fingerprint == said["log_sha256"]:
            break
    else:
        raise InputError(
            f"This bundle was fitted on another log (fingerprint {said['log_sha256'][:12]}, here "
            f"{log.fingerprint[:12]}), or with other LOG options: give the same log with the same options."
        )
    if said.get("viewers_sha256") != fingerprint_ids(left.viewers):
        raise InputError(
            f"This bundle's viewers, or their order, are not those of this log ({len(left.viewers):,}), so "
            "its test cannot be told again: give the same --viewers and --friends as the fit had."
        )
    return left


def _costs(model: Model, split: Split) -> dict[str, float]:
    wall = model.facts.get("all_wall_s")
    return {
        "fit_cpu_s": model.facts.get("fit_cpu_s", math.nan),
        "search_cpu_s": 0.0,
        "fit_wall_s": math.nan if wall is None else wall,
        "fit_dollars": math.nan if wall is None else electricity_dollars(wall),
        "answer_ms": answer_time(model, split.test),
        "peak_rss_mb": math.nan,
    }
