"""What an index misses is measured in service: one answer in a thousand is also given exactly.

The exact answer is reckoned in a thread, after the other one is on its way; nobody waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from matinee.core.promise import Scorer
from matinee.core.types import Askers, Float32, Int64

ONE_IN = 1_000
_NEAR, _FAR = 10, 100

_log = logging.getLogger("matinee.serve")


@dataclass(kw_only=True, slots=True)
class RecheckFigures:
    """How many of the best items were found.

    Attributes:
        answers: how many were checked.
        of_10: the sum, over them, of the share of the exact ten best that were found among ten.
        of_100: the same of a hundred.
    """

    answers: int = 0
    of_10: float = 0.0
    of_100: float = 0.0


class Rechecks:
    """Checks some of this process's answers.

    Args:
        one_in: of so many answers from candidates one is checked, the first included.
    """

    def __init__(self, one_in: int = ONE_IN) -> None:
        self._one_in, self._asked = one_in, 0
        self._told = RecheckFigures()
        self.figures = RecheckFigures()

    def note(self, scorer: Scorer, asker: Askers, codes: Int64, scores: Float32) -> None:
        """Count an answer, and check it if it is its turn.

        Args:
            scorer: scores the whole catalogue.
            asker: who asked.
            codes: int64: the candidates.
            scores: float32: theirs.
        """
        if not len(codes):
            return
        self._asked += 1
        if (self._asked - 1) % self._one_in:
            return
        found = codes[np.argsort(-scores)[:_FAR]]
        work = asyncio.get_running_loop().run_in_executor(None, partial(_shares, scorer, asker, found))
        work.add_done_callback(self._keep)

    def news(self) -> RecheckFigures:
        """What came in since this was asked last: for counters."""
        now, told = self.figures, self._told
        self._told = RecheckFigures(answers=now.answers, of_10=now.of_10, of_100=now.of_100)
        return RecheckFigures(
            answers=now.answers - told.answers,
            of_10=now.of_10 - told.of_10,
            of_100=now.of_100 - told.of_100,
        )

    def _keep(self, work: asyncio.Future[tuple[float, float]]) -> None:
        if work.cancelled():
            return
        error = work.exception()
        if error is not None:
            _log.warning("An answer could not be checked: %s.", type(error).__name__)
            return
        near, far = work.result()
        self.figures.answers += 1
        self.figures.of_10 += near
        self.figures.of_100 += far


def recall_of(values: Mapping[str, float]) -> tuple[int, float, float] | None:
    """How many answers were checked, and the mean shares of the ten and the hundred best that were found.

    Args:
        values: figures by name, as /metrics tells them, summed over labels.

    Returns:
        None where nothing was checked.
    """
    answers = values.get("matinee_rechecked_answers_total", 0.0)
    if not answers:
        return None
    near, far = (values.get(f"matinee_rechecked_recall_{k}_total", 0.0) / answers for k in (_NEAR, _FAR))
    return int(answers), near, far


def _shares(scorer: Scorer, asker: Askers, found: Int64) -> tuple[float, float]:
    """The shares of the ten and the hundred best that were found, exactly."""
    scores = scorer.score(asker)[0]
    best = np.argpartition(-scores, min(_FAR, len(scores) - 1))[:_FAR]
    best = best[np.argsort(-scores[best], kind="stable")]
    near = np.isin(best[:_NEAR], found[:_NEAR]).mean()
    return float(near), float(np.isin(best, found).mean())
