"""Each region's own fits beside those of a comparison, judged by the region's viewers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from matinee.core.run import Run
from matinee.data.homes import Homes, only_of
from matinee.data.split import Split
from matinee.evaluate.aim import Aim
from matinee.evaluate.evidence import Evidence
from matinee.evaluate.regions import OWN, SHARED, Fits, region_facts
from matinee.evaluate.scoreboard import Row
from matinee.recipes.fit_regions import region_row
from matinee.recipes.isolate import Job, Tried
from matinee.recipes.progress import Progress
from matinee.recipes.rows import predicted
from matinee.recipes.side_by_side import Task, run_side_by_side

# Of so many regions, the largest, the table has figures.
MOST_JUDGED = 50


@dataclass(frozen=True, kw_only=True)
class Regions:
    """The regions of a comparison.

    Attributes:
        split: how the log is divided.
        homes: where the viewers are.
        rows: what is known of each region that is judged, the largest first: `region`, `viewers`, `events`,
            `asked`, and `why` it has no model of its own, or empty.
        places: the position of each in `homes.names`.
    """

    split: Split
    homes: Homes
    rows: Sequence[Mapping[str, Any]]
    places: Sequence[int]

    def queries(self, kind: str) -> tuple[str, ...]:
        """The names of the queries of each region, such as "test@2"."""
        return tuple(f"{kind}@{home}" for home in self.places)

    def candidates(self) -> list[int]:
        """The positions of those that may have a model of their own."""
        return [home for home, row in zip(self.places, self.rows, strict=True) if not row["why"]]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where and how the fits of a comparison go."""

    handover: Path
    folder: Path
    aim: Aim
    seed: int
    refit: bool
    run: Run


def regions_of(split: Split, homes: Homes, least_viewers: int) -> Regions:
    """The regions that a comparison judges."""
    known = ("region", "viewers", "events", "asked", "why")
    rows = [region_row(split.log, split, homes, home, least_viewers) for home in range(len(homes.names))]
    order = sorted(range(len(rows)), key=lambda home: (-rows[home]["viewers"], home))[:MOST_JUDGED]
    told = [{key: rows[home][key] for key in known} for home in order]
    return Regions(split=split, homes=homes, rows=told, places=order)


def judge_regions(
    regions: Regions,
    rows: Sequence[Row],
    shared: Mapping[str, Mapping[str, Evidence]],
    place: Place,
    progress: Progress,
) -> list[list[Fits]]:
    """Fit and judge every recommender on every region that is large enough.

    Args:
        regions: the regions.
        rows: the table's rows; each region's own fits have the settings of theirs.
        shared: recommender -> queries such as "test@2" -> what the row's own fits came to.
        place: where and how.
        progress: called with what is being done and the share that is done.

    Returns:
        Of each region what is known of each recommender.
    """
    fitted = [row for row in rows if not row.error]
    jobs = [(row, home) for row in fitted for home in regions.candidates()]
    tasks = [task for row, home in jobs for task in _tasks(regions, row, home, place)]
    found = iter(run_side_by_side(place.handover, tasks, place.run, progress))
    own = {(row.name, home): [next(found) for _ in range(1 + place.refit)] for row, home in jobs}
    return [
        [_fits(row.name, home, shared[row.name], own.get((row.name, home)), place) for row in fitted]
        for home in regions.places
    ]


def facts_of(
    regions: Regions, fits: Sequence[Sequence[Fits]], place: Place, chosen: str | None
) -> dict[str, Any]:
    """What a table says of its regions: keys of its JSON."""
    unknown = (regions.homes.codes < 0) & (regions.split.log.histories.lengths > 0)
    return {
        "by": regions.homes.column,
        "unknown_viewers": int(unknown.sum()),
        "regions": region_facts(regions.rows, fits, place.aim, chosen, place.seed),
    }


def _tasks(regions: Regions, row: Row, home: int, place: Place) -> list[Task]:
    """One region's own fits: one judged by both, or one for validation and another for the test."""
    whole = Job(
        name=row.name,
        tries=[dict(row.settings)],
        at=place.aim.at,
        seed=place.seed,
        fit_on=f"train@{home}",
        judge=(f"validation@{home}", f"test@{home}"),
    )
    steps = {"own": whole}
    if place.refit:
        last = replace(whole, fit_on=f"train_and_validation@{home}", judge=(f"test@{home}",))
        steps = {"own": replace(whole, judge=(f"validation@{home}",)), "own-last": last}
    needs = predicted(row.name, row.settings, only_of(regions.split.train, regions.homes.codes == home))
    return [
        Task(
            name=f"{row.name} of {regions.homes.names[home]}",
            folder=place.folder / f"{row.name}-{step}-{home}",
            job=job,
            needs=needs,
        )
        for step, job in steps.items()
    ]


def _fits(
    name: str, home: int, shared: Mapping[str, Evidence], own: Sequence[Tried] | None, place: Place
) -> Fits:
    metric, asked = place.aim.metric, (f"validation@{home}", f"test@{home}")
    validation = {SHARED: shared[asked[0]].mean(metric)}
    test = {SHARED: shared[asked[1]]}
    if own is None:
        return Fits(name=name, test=test, validation=validation)
    error = next((tried.error for tried in own if tried.error), "")
    if error:
        return Fits(name=name, test=test, validation=validation, error=error)
    return Fits(
        name=name,
        test={OWN: own[-1].found[asked[1]], **test},
        validation={OWN: own[0].found[asked[0]].mean(metric), **validation},
        fit_cpu_s=own[-1].cpu_s,
    )
