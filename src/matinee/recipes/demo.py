"""The demo: a small service is made up, checked, judged, fitted, and one of its viewers is answered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from matinee.answers.model import Model
from matinee.answers.rules import Rules
from matinee.data.log import InteractionLog
from matinee.data.options import LogOptions
from matinee.data.read import read_log
from matinee.evaluate.scoreboard import Scoreboard
from matinee.recipes.check import CheckReport, check
from matinee.recipes.compare import compare
from matinee.recipes.fit import FitOptions, fit_model
from matinee.recipes.look_ahead import check_folder
from matinee.recipes.progress import Progress
from matinee.recipes.recommend import recommend_one
from matinee.recipes.rows import default_rows
from matinee.simulate.files import simulate
from matinee.simulate.options import SimulationOptions

SERVICE = SimulationOptions(viewers=4_000, items=600, events=120_000, predictability=0.5)
# A demo should be over before one loses patience: the network learns in fewer passes than it would by itself.
_SETTINGS: dict[str, dict[str, Any]] = {"sequential": {"passes": 2}, "blend": {"sequential": {"passes": 2}}}
# A viewer with about this many events: long enough to know somebody by, short enough to be read.
_EVENTS_SHOWN = 25


@dataclass(frozen=True, kw_only=True)
class Watched:
    """One event as a person reads it."""

    item: str
    title: str
    day: str


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What the demo did.

    Attributes:
        folder: where log, side tables, bundle and report are.
        service: what was made up.
        truth: what the simulator knows of it, such as the best possible recall.
        report: what the check found.
        board: the scoreboard.
        model: the recommender that validation chose, fitted on everything.
        watched: the latest events of the viewer who is answered, oldest first.
        answer: the JSON of `recommend` for that viewer.
    """

    folder: Path
    service: SimulationOptions
    truth: dict[str, Any]
    report: CheckReport
    board: Scoreboard
    model: Model
    watched: list[Watched]
    answer: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The JSON of `demo`."""
        return {"compare": self.board.to_json(), "recommend": self.answer}


def demo(
    folder: Path, *, seed: int = 0, k: int = 10, progress: Progress = lambda _doing, _share: None
) -> Demo:
    """Run the main job on a service that is made up; the same seed gives the same, costs apart.

    Args:
        folder: gets log.parquet, items.parquet, viewers.parquet, friends.parquet, truth.json, bundle/ and
            report.html; what an earlier demo left there is replaced.
        seed: seed of everything random.
        k: how many items the viewer is recommended.
        progress: called with what is being done and the share that is done.

    Raises:
        InputError: the folder cannot be written, or its bundle/ is something else.
    """
    check_folder(folder / "bundle")
    progress("making a small service up", 0.0)
    service = replace(SERVICE, seed=seed)
    truth = simulate(service, folder)
    beside = LogOptions(
        items=str(folder / "items.parquet"),
        viewers=str(folder / "viewers.parquet"),
        friends=str(folder / "friends.parquet"),
    )
    log = read_log(folder / "log.parquet", beside)
    progress("checking the log", 0.1)
    report = check(log, beside, seed=seed)
    board = _judge(log, seed, lambda doing, share: progress(doing, 0.15 + 0.65 * share))
    board.to_html(folder / "report.html")
    model = _fit(
        log, board, seed, lambda doing, share: progress(f"{doing}, on everything", 0.8 + 0.17 * share)
    )
    model.save(folder / "bundle")
    progress("asking for a viewer", 0.98)
    viewer = _shown_viewer(log)
    return Demo(
        folder=folder,
        service=service,
        truth=truth,
        report=report,
        board=board,
        model=model,
        watched=_watched(model, viewer),
        # Asked at the log's last moment, so that the answer is the same next year.
        answer=recommend_one(model, user=log.viewers.id(viewer), k=k, rules=Rules(now=_end(log))),
    )


def _judge(log: InteractionLog, seed: int, progress: Progress) -> Scoreboard:
    """The scoreboard of the rows that nobody chose."""
    rows = default_rows(log).names
    settings = {name: chosen for name, chosen in _SETTINGS.items() if name in rows}
    return compare(log, settings=settings, seed=seed, on_progress=progress)


def _fit(log: InteractionLog, board: Scoreboard, seed: int, progress: Progress) -> Model:
    """The recommender that validation chose, fitted on everything; it says where its metrics come from."""
    name = str(board.to_json()["chosen_on_validation"])
    model = fit_model(
        log, FitOptions(recommender=name, settings=_SETTINGS.get(name, {}), seed=seed), progress
    )
    row = next(row for row in board.to_json()["recommenders"] if row["name"] == name)
    facts = {"metrics": row["metrics"], "metrics_from": "the demo's test, by a fit that had not seen it"}
    return replace(model, facts={**model.facts, **facts})


def _shown_viewer(log: InteractionLog) -> int:
    """The viewer whose number of events is nearest to what is good to read; of several the first."""
    return int(np.argmin(np.abs(log.histories.lengths - _EVENTS_SHOWN)))


def _watched(model: Model, viewer: int) -> list[Watched]:
    histories = model.log.histories.take(np.array([viewer]))
    days = np.asarray(histories.times, dtype="datetime64[ms]").astype("datetime64[D]").astype(str)
    return [
        Watched(item=model.log.items.id(code), title=model.title(int(code)) or "", day=str(day))
        for code, day in zip(histories.items, days, strict=True)
    ]


def _end(log: InteractionLog) -> int:
    return int(np.max(np.asarray(log.histories.times)))
