"""The parts that are joined: fitted once, then found in a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matinee.answers.context import context_of
from matinee.answers.scorers import make_scorer
from matinee.core.promise import Part, Scorer
from matinee.core.run import Run
from matinee.core.settings import config_values
from matinee.data.log import InteractionLog
from matinee.recipes.kept import KeptParts
from matinee.recipes.spent import cpu_s
from matinee.recommenders import make_recommender


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A part that answers, and what its fit took.

    Attributes:
        part: its tensors and settings.
        scorer: scores askers by it.
        fit_cpu_s: CPU-seconds of its fit.
    """

    part: Part
    scorer: Scorer
    fit_cpu_s: float


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Where fitted parts lie.

    Attributes:
        folder: of parts that were fitted before.
        log: what they were fitted on.
        called: what tells that log from others.
    """

    folder: Path
    log: InteractionLog
    called: str

    def fitted(self, name: str, settings: Mapping[str, Any], seed: int = 0) -> Fitted:
        """A recommender's only part, with settings that differ from its defaults."""
        recommender: Any = make_recommender(name, settings)
        run = {"run": Run(device="cpu", precision="float32")} if getattr(recommender, "trains", False) else {}
        values = config_values(recommender.config)
        return self.part(name, values, lambda: recommender.fit(self.log, seed=seed, **run).parts[name], seed)

    def part(self, name: str, settings: Mapping[str, Any], make: Callable[[], Part], seed: int = 0) -> Fitted:
        """A part that is made unless it was before."""
        kept = KeptParts(self.folder, self.called)
        found = kept.find(name, settings, seed)
        if found is None:
            begin = cpu_s()
            part = make()
            kept.keep(name, settings, seed, part, {"cpu_s": cpu_s() - begin})
            found = part, {"cpu_s": cpu_s() - begin}
        part, facts = found
        scorer = make_scorer(part, context_of(self.log))
        return Fitted(part=part, scorer=scorer, fit_cpu_s=round(float(facts["cpu_s"]), 1))
