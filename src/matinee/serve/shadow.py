"""A second bundle answers too, nobody sees it, and how much it differs is kept."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from matinee.answers.top import top_k_of_one
from matinee.serve.asking import Answer
from matinee.serve.ready_bundle import ReadyBundle
from matinee.serve.records import Seen


@dataclass(kw_only=True, slots=True)
class ShadowFigures:
    """How a shadow's answers compare with those that were shown.

    Attributes:
        answers: how many were compared.
        items: items of the shown answers.
        same: how many of them the shadow's answers of the same length hold as well.
        cpu_s: what asking it took.
    """

    answers: int = 0
    items: int = 0
    same: int = 0
    cpu_s: float = 0.0

    @property
    def overlap(self) -> float:
        """The share of shown items that the shadow would have shown too."""
        return self.same / self.items if self.items else 0.0


class Shadows:
    """Keeps the figures of this process's shadows."""

    def __init__(self) -> None:
        self._figures: dict[str, ShadowFigures] = defaultdict(ShadowFigures)

    def figures(self) -> dict[str, ShadowFigures]:
        """What was compared, by the shadow's bundle."""
        return dict(self._figures)

    def compare(
        self,
        shadow: ReadyBundle,
        history: Sequence[Seen],
        shown: Answer,
        now_ms: int,
        *,
        region: str | None = None,
        repeats: bool,
    ) -> None:
        """Ask a shadow the same history, by its plain order, and count what both hold.

        Args:
            shadow: the bundle.
            history: what the asker did.
            shown: the answer that was given; pins do not count.
            now_ms: the moment of that answer.
            region: where the asker is; None: nobody says.
            repeats: whether what was seen may come again.
        """
        begin = time.thread_time()
        taken = shadow.reading.take(history, shadow.live, -1, len(history)).at(region)
        scores, _ = shadow.scores(taken)
        given = [one.item for one in shown.items if not one.pinned]
        struck = shadow.live.struck(now_ms)
        scores[struck[struck < len(scores)]] = float("-inf")
        if not repeats:
            scores[taken.seen[taken.seen < len(scores)]] = float("-inf")
        codes, _ = top_k_of_one(scores, len(given), shadow.live.keys)
        theirs = {shadow.live.id(code) for code in codes.tolist()}
        figures = self._figures[shadow.name]
        figures.answers += 1
        figures.items += len(given)
        figures.same += sum(item in theirs for item in given)
        figures.cpu_s += time.thread_time() - begin
