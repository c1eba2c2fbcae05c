"""What a search is told of a recommender's settings: how well a fit on training events ranks validation.

The folder that trials read holds the training log and the validation queries, whose histories end where they
are asked. The test is not in it: there is no route from the search to it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matinee.core.errors import Stopped
from matinee.core.promise import Part
from matinee.core.run import Run, Step
from matinee.core.threads import few_threads
from matinee.core.types import Int64
from matinee.data.split import Split
from matinee.recipes.choose import aim_to_choose_by
from matinee.recipes.handover import open_handover, write_handover
from matinee.recipes.isolate import SAMPLED_VIEWERS
from matinee.recipes.isolate_run import sampled
from matinee.recipes.judged import judged
from matinee.recipes.kept import KeptParts
from matinee.recipes.rows import predicted, trains
from matinee.recommenders import make_recommender
from matinee.tune.objective import Objective, Report
from matinee.tune.study import open_study

# A trial that trains reports after each pass, in hundredths of all its passes: its steps.
STEPS = 100.0
FACTORY = "matinee.recipes.tune_objective:objective_of"


def write_trials(folder: Path, split: Split, *, seed: int, homes: Int64 | None = None) -> None:
    """Write what trials may see of a split, the test left out.

    Args:
        folder: an empty folder.
        split: the split.
        seed: of whom is asked, where validation asks more than 2,000 viewers.
        homes: int64, shape (viewers,): the home of each viewer, where trials are of one home's alone. Then
            everybody is handed over, and each home's are drawn from among its own.
    """
    asked = split.validation if homes is not None else sampled(split.validation, SAMPLED_VIEWERS, seed)
    write_handover(folder, split, both=False, homes=homes, asked={"validation": asked.forgetful()})


def objective_of(  # noqa: PLR0913 (plain values, by which a worker makes it)
    *,
    study: str,
    place: str,
    recommender: str,
    settings: Mapping[str, Any],
    searched: Sequence[str],
    device: str = "auto",
    precision: str = "auto",
    checkpoint_every_s: float = 30.0,
    home: int | None = None,
    seed: int = 0,
) -> Objective:
    """The objective of a recommender: its aim's metric on validation, negative where less is better.

    Settings that are tried for the first time are fitted with one and the same seed, those that are run again
    with seeds of their own.

    Args:
        study: the study's folder, which says what is run again.
        place: the folder that `write_trials` filled.
        recommender: its name.
        settings: settings that stay as they are.
        searched: the settings that a search changes.
        device: of fits that train in steps.
        precision: of the same.
        checkpoint_every_s: how often they save.
        home: whose viewers are learnt from and asked; None: everybody's.
        seed: of first tries, and of whom is asked among one home's viewers.
    """
    handover, whose = open_handover(Path(place)), "" if home is None else f"@{home}"
    log, queries = handover.log(f"train{whose}"), handover.queries(f"validation{whose}")
    asked = sampled(queries, SAMPLED_VIEWERS, seed)
    aim = aim_to_choose_by(log)
    changed = {one.partition(".")[0] for one in searched if "." in one} | {recommender}
    parts = _Parts(folder=Path(place) / "parts", log=f"train{whose}", changed=frozenset(changed))

    def objective(tried: Mapping[str, Any], report: Report) -> float:
        made: Any = make_recommender(recommender, {**settings, **tried})
        first = open_study(study).trial(report.number).repeats is None
        own = seed if first else report.seed
        with few_threads(predicted(recommender, {**settings, **tried}, log).cpu_s):
            if trains(recommender):
                told = _Told(report)
                run = Run(
                    device=device,
                    precision=precision,
                    checkpoints=report.checkpoints,
                    checkpoint_every_s=checkpoint_every_s,
                    should_stop=told.should_stop,
                    tell=told.tell,
                    kept=parts.of_trial(report.checkpoints),
                )
                model = made.fit(log, seed=own, run=run)
            else:
                model = made.fit(log, seed=own)
            report.alive()
            value = judged(model, asked, aim.at or (10,)).mean(aim.metric)
        if trains(recommender):
            shutil.rmtree(report.checkpoints / _OWN, ignore_errors=True)
        return aim.worth(value)

    return objective


class _Told:
    """Reports the passes of a fit, and lets it save its checkpoint before it gives way."""

    def __init__(self, report: Report) -> None:
        self._report, self._passes, self._asked = report, 0, False

    def should_stop(self) -> bool:
        return self._asked or self._report.should_stop()

    def tell(self, step: Step) -> None:
        made, planned = step.passes or (0, 1)
        if made <= self._passes or step.validation is None:
            self._report.alive()
            return
        self._passes = made
        try:
            self._report(STEPS * made / planned, step.validation[1])
        except Stopped:
            # Raised here it would reach the loop between two checkpoints: the loop asks before its next step.
            self._asked = True


_OWN = "finished parts"


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """Fitted parts: those that no trial changes are kept for all, others for this trial's next attempt.

    Attributes:
        folder: where the shared ones lie.
        log: what tells the log that is fitted on from others.
        changed: names of the parts that trials change.
    """

    folder: Path
    log: str
    changed: frozenset[str]

    def of_trial(self, place: Path) -> _TrialParts:
        shared, own = KeptParts(self.folder, self.log), KeptParts(place / _OWN, self.log)
        return _TrialParts(shared=shared, own=own, is_shared=self.unchanged)

    def unchanged(self, name: str) -> bool:
        """Whether a part is the same in all trials of a seed."""
        return name.partition(" ")[0] not in self.changed


@dataclass(frozen=True, kw_only=True)
class _TrialParts:
    """The parts as one attempt finds and keeps them: a `core.run.Kept`."""

    shared: KeptParts
    own: KeptParts
    is_shared: Callable[[str], bool]

    def find(
        self, name: str, settings: Mapping[str, Any], seed: int
    ) -> tuple[Part, Mapping[str, Any]] | None:
        return (self.shared if self.is_shared(name) else self.own).find(name, settings, seed)

    def keep(
        self, name: str, settings: Mapping[str, Any], seed: int, part: Part, facts: Mapping[str, Any]
    ) -> None:
        (self.shared if self.is_shared(name) else self.own).keep(name, settings, seed, part, facts)
