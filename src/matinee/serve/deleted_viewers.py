"""What a bundle learnt of somebody who was deleted after it was written is used no more, by nobody.

That holds for good: who begins anew is a newcomer to such a bundle, whatever it knows of the same id. A
bundle that was written later learnt of the new beginning alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from matinee.answers.model import Model
from matinee.serve.store import Store

_ASKED_AT_ONCE = 1000


async def deleted_since(store: Store, viewers: Sequence[str], learnt_ms: int) -> frozenset[str]:
    """Those of some viewers of whom nothing may be used that was learnt up to a moment.

    Args:
        store: what knows of deletions.
        viewers: their ids, each as it stands in a bundle: ids that were merged are not put together.
        learnt_ms: the moment, as `learnt_by` tells it of a bundle.
    """
    told = await store.void_until_ms(viewers)
    return frozenset(user for user, until in zip(viewers, told, strict=True) if 0 <= until >= learnt_ms)


async def deleted_of(store: Store, model: Model, created_ms: int) -> frozenset[str]:
    """Those of all viewers of a model."""
    ids, gone = model.log.viewers.arrow, model.deleted
    for start in range(0, len(ids), _ASKED_AT_ONCE):
        some = ids.slice(start, _ASKED_AT_ONCE).to_pylist()
        gone |= await deleted_since(store, some, learnt_by(model, created_ms))
    return gone


def learnt_by(model: Model, created_ms: int) -> int:
    """Up to when a model can have learnt: when a store's events were read for it, or it was written."""
    read_ms = model.facts.get("read_ms")
    return read_ms if isinstance(read_ms, int) else created_ms
