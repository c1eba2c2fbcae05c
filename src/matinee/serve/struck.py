"""What one asker must not be shown: by the store, by what was seen or turned down, by the ask itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from matinee.core.types import Bool, Float32, Int64
from matinee.serve.asking import Ask
from matinee.serve.ready_bundle import ReadyBundle
from matinee.serve.records import Seen
from matinee.serve.taken import Taken


@dataclass(kw_only=True, slots=True)
class Asked:
    """An ask with everything that had to be waited for.

    Attributes:
        ask: what is asked, its placement's rules applied.
        ready: the bundle that answers.
        taken: the asker's history, as the bundle takes it.
        now_ms: the moment of the answer.
        region: where the asker is; None: nobody knows, or it does not matter.
        arm: "experiment/arm" where one chose the bundle.
        viewer: the asker's code in the bundle's log, or -1.
        shadow: a bundle that is asked too.
        history: what the asker did, as it was told.
    """

    ask: Ask
    ready: ReadyBundle
    taken: Taken
    now_ms: int
    region: str | None
    arm: str
    viewer: int
    shadow: ReadyBundle | None = None
    history: Sequence[Seen] = ()


def strike(asked: Asked, scores: Float32, *, seen: bool) -> None:
    """Strike out, in place, what the asker must not be shown.

    Args:
        asked: who asks for what.
        scores: float32, shape (items,): of the bundle's items, or of those that only the store knows as well.
        seen: whether what was chosen before must not come again.
    """
    n = len(scores)
    beyond = asked.ready.live.size > n
    for codes, _ in _shut_out(asked, seen=seen):
        if len(codes):
            scores[codes[codes < n] if beyond else codes] = -np.inf
    if asked.ask.only is not None or asked.ask.categories:
        scores[~wanted(asked)[:n]] = -np.inf


def strike_some(asked: Asked, codes: Int64, scores: Float32, *, seen: bool) -> None:
    """The same where only some items have scores.

    Args:
        asked: who asks for what.
        codes: int64, shape (some,): those items.
        scores: float32, shape (some,): theirs, struck out in place.
        seen: whether what was chosen before must not come again.
    """
    for given, ascending in _shut_out(asked, seen=seen):
        if len(given):
            out = given if ascending else np.sort(given)
            places = np.minimum(np.searchsorted(out, codes), len(out) - 1)
            scores[out[places] == codes] = -np.inf
    if asked.ask.only is not None or asked.ask.categories:
        scores[~wanted(asked)[codes]] = -np.inf


def _shut_out(asked: Asked, *, seen: bool) -> Iterator[tuple[Int64, bool]]:
    """Codes of items that the asker must not be shown, by reason; and whether they ascend."""
    ask, live, taken = asked.ask, asked.ready.live, asked.taken
    yield live.struck(asked.now_ms), True
    if seen:
        yield taken.seen, False
    yield taken.noes, False
    yield asked.ready.noes(asked.viewer), False
    if asked.region is not None and live.regional:
        yield live.shut(asked.region), False
    if ask.exclude:
        yield _codes(asked, ask.exclude), False


def may_be_shown(asked: Asked, *, seen: bool) -> Callable[[int], bool]:
    """Whether an item may be shown to the asker, also one that the bundle does not know."""
    marks: list[Float32] = []

    def shown(code: int) -> bool:
        if not marks:
            marks.append(np.zeros(asked.ready.live.size, np.float32))
            strike(asked, marks[0], seen=seen)
        return bool(marks[0][code] > -np.inf)

    return shown


def _codes(asked: Asked, ids: Sequence[str]) -> Int64:
    """Codes of the ids that anybody knows: int64."""
    codes = [asked.ready.live.code(one) for one in ids]
    return np.array([code for code in codes if code >= 0], dtype=np.int64)


def wanted(asked: Asked) -> Bool:
    """Which items the ask chooses among: bool, shape (all items,)."""
    ask, live = asked.ask, asked.ready.live
    mask = np.ones(live.size, dtype=bool)
    if ask.only is not None:
        mask[:] = False
        mask[_codes(asked, ask.only)] = True
    if ask.categories:
        mask &= live.of_categories(ask.categories)
    return mask
