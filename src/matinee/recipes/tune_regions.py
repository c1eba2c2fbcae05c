"""A study for each region, out of one budget: everybody's first, then the regions', the largest first.

Each study gets of what is left by then the share that its events have among those still to come; what one
leaves unspent, the next ones have. The best settings of at most `MOST_OFFERED` studies before it (everybody's
first, then the latest) are offered to a region: they are tried right after the defaults. Where they are no
good there, they have cost so many trials of the region's own share and no more, and its model has learnt from
them as from any other; nothing else of another region enters it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matinee.recipes.fit_regions import region_row
from matinee.recipes.tune import DATA, Plan, Watch, search_one, study_words, write_data
from matinee.recipes.tune_folder import REGIONS, begin_study
from matinee.tune.budget import Budget
from matinee.tune.events import NAME
from matinee.tune.run import StudyResult
from matinee.tune.study import Study, open_study, study_facts

MOST_OFFERED = 3


def run_by_region(plan: Plan, watch: Watch = lambda _study: None) -> dict[str, Any]:
    """Search for everybody and for each region that is large enough: the JSON of `tune`.

    Args:
        plan: with homes.
        watch: called with the study that is going on, about once a second.

    Raises:
        InputError: the folder holds another study, or one already and `resume` is not set.
        Stopped: it was stopped; what is finished is kept, and it can go on.
    """
    if plan.homes is None:
        raise ValueError("a plan by region has homes")
    begin_study(plan.folder, plan.about, resume=plan.options.resume, command=plan.options.command)
    write_data(plan)
    rows = [
        region_row(plan.split.train, plan.split, plan.homes, home, plan.options.least_viewers)
        for home in range(len(plan.homes.names))
    ]
    homes = sorted(
        (home for home, row in enumerate(rows) if not row["why"]), key=lambda h: -rows[h]["events"]
    )
    weights: dict[int | None, int] = {
        None: len(plan.split.train),
        **{home: rows[home]["events"] for home in homes},
    }
    order: list[int | None] = [None, *homes]
    found: list[Mapping[str, Any]] = []
    regions = []
    whole: dict[str, Any] = {}
    left = plan.options.budget
    for place, home in enumerate(order):
        share = weights[home] / max(1, sum(weights[other] for other in order[place:]))
        folder = plan.folder if home is None else region_folder(plan.folder, plan.homes.names[home])
        given = offered(found)
        study, facts = _one(plan, folder, _part(left, share), given, home, watch)
        left = _without(left, study)
        if study.best is not None:
            found.append(study.best.settings)
        if home is None:
            whole = facts
        else:
            regions.append({"region": plan.homes.names[home], "offered": len(given), **facts})
    shutil.rmtree(plan.folder / DATA, ignore_errors=True)
    out = [f"{row['region']} shares: {row['why']}." for row in rows if row["why"]]
    rest = {"left_dollars": left.dollars, "left_s": left.seconds}
    return {**whole, **rest, "regions": regions, "left_out": out}


def _one(
    plan: Plan,
    folder: Path,
    budget: Budget,
    given: tuple[Mapping[str, Any], ...],
    home: int | None,
    watch: Watch,
) -> tuple[Study, dict[str, Any]]:
    """One of the studies that share the budget; what came to its end in an earlier session stays."""
    ended = (folder / NAME).is_file() and open_study(folder).state == "done"
    if not ended:
        result = search_one(plan, folder, budget, watch=watch, given=given, home=home)
        return open_study(folder), study_words(plan, result)
    study = open_study(folder)
    return study, study_words(plan, _ended(study, folder))


def _ended(study: Study, folder: Path) -> StudyResult:
    return StudyResult(
        best=study.best,
        trials=study.trials,
        ledger=study.ledger,
        seconds=study.clock,
        state=study.state,
        reason=study.reason,
        folder=folder,
        facts=study_facts(study, name=str(folder), active=False),
    )


def offered(found: list[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """What the next region tries after the defaults: everybody's best, and those of the latest regions.

    Args:
        found: the best settings of the studies so far, everybody's first.
    """
    latest = [*found[:1], *found[1:][::-1]]
    kept: list[Mapping[str, Any]] = []
    for settings in latest:
        if settings not in kept and len(kept) < MOST_OFFERED:
            kept.append(settings)
    return tuple(kept)


def region_folder(folder: Path, region: str) -> Path:
    """Where a region's study lies: its name, as far as a folder can be called so."""
    plain = re.sub(r"[^\w-]", "_", region)
    if plain == region and plain:
        return folder / REGIONS / plain
    digest = "".join(f"{byte:02x}" for byte in region.encode())[:16]
    return folder / REGIONS / f"{plain}-{digest}"


def region_settings(folder: Path, about: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The best settings of each region's study, those that stay included: region -> settings.

    Args:
        folder: the study's.
        about: what it is about.
    """
    found = {}
    for log in sorted(folder.glob(f"{REGIONS}/*/{NAME}")):
        study = open_study(log.parent)
        region = study.about.get("region")
        if study.best is not None and isinstance(region, str):
            found[region] = {**about["given"], **study.best.settings}
    return found


def _part(budget: Budget, share: float) -> Budget:
    return Budget(
        dollars=None if budget.dollars is None else budget.dollars * share,
        seconds=None if budget.seconds is None else budget.seconds * share,
    )


def _without(budget: Budget, study: Study) -> Budget:
    """What a study left; a hair at least, so that the next ones can say that nothing is."""
    dollars, seconds = study.ledger.spent_dollars, study.clock
    return Budget(
        dollars=None if budget.dollars is None else max(1e-12, budget.dollars - dollars),
        seconds=None if budget.seconds is None else max(1e-6, budget.seconds - seconds),
    )
