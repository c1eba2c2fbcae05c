"""What most viewers chose of late: asked of the store once a minute, not at every answer."""

from __future__ import annotations

from collections.abc import Sequence

from matinee.data.kinds_mean import NOES, KindsMean
from matinee.serve.store import Store

DAY_MS = 86_400_000
RECENT_MS = 14 * DAY_MS
_FRESH_MS = 60_000
_MOST = 10_000


class Crowd:
    """Choices of all viewers in the last fourteen days.

    Args:
        store: where they are counted.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counts: dict[tuple[str, ...], tuple[int, list[tuple[str, int]]]] = {}

    async def counts(self, now_ms: int, meaning: KindsMean) -> Sequence[tuple[str, int]]:
        """Items with how many viewers chose them, those who turned them down taken away.

        Args:
            now_ms: the moment; a minute's answers share one count.
            meaning: which kinds say no.
        """
        noes = tuple(sorted(kind for kind in NOES | set(meaning.negative) if meaning.says_no(kind)))
        kept = self._counts.get(noes)
        if kept is None or not 0 <= now_ms - kept[0] < _FRESH_MS:
            since = now_ms - RECENT_MS
            chosen = await self._store.popular(since, _MOST)
            less = dict(await self._store.popular(since, _MOST, noes))
            found = [(item, n - less.get(item, 0)) for item, n in chosen]
            kept = (now_ms, [(item, n) for item, n in found if n > 0])
            self._counts[noes] = kept
        return kept[1]
