"""Experiments, begun and ended: the same for the programs' interface and for the page."""

from __future__ import annotations

from matinee.serve.ab import create, experiments_of, stop
from matinee.serve.experiments import Experiment
from matinee.serve.refusals import Conflict, NotFound
from matinee.serve.service import Service


async def begin(service: Service, wanted: Experiment) -> Experiment:
    """Begin an experiment; the same one again changes nothing. It is in force here when this returns.

    Raises:
        NotFound: there is no such alias or bundle.
        Conflict: there has been an experiment of this name.
        Refusal: it makes no sense, or another one splits the same alias.
    """
    if wanted.alias not in service.bundles.names():
        known = ", ".join(sorted(service.bundles.names()))
        raise NotFound(f"No bundle has the alias {wanted.alias!r}: aliases are {known}.")
    for name in sorted(wanted.bundles()):
        await service.bundles.check(name)
    try:
        begun = await create(service.store, wanted, now_ms=service.now_ms())
    except Conflict:
        # Names are used once and stay: whoever was quicker, a moment or a month ago, wanted this or another.
        named = {one.name: one for one in await experiments_of(service.store)}
        begun = named[wanted.name]
        if not _same(begun, wanted):
            raise
    await service.bundles.caught_up()
    return begun


async def end(service: Service, name: str) -> Experiment:
    """End an experiment; what it found stays.

    Raises:
        NotFound: there is none of this name.
    """
    over = await stop(service.store, name)
    await service.bundles.caught_up()
    return over


def _same(known: Experiment, wanted: Experiment) -> bool:
    """Whether an experiment that runs is the one that is wanted, the order of its arms included."""
    plain, told = known.to_json(), wanted.to_json()
    order = list(known.arms) == list(wanted.arms)
    return order and plain == {**told, "since_ms": known.since_ms}
