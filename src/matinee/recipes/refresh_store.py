"""The store of a daily run: it has to be whole, its server has to answer from the run's folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from matinee.core.errors import InputError
from matinee.recipes.activate import names_in
from matinee.recipes.store_log import is_store, refuse_missing, with_store
from matinee.serve.aliases import ALIASES_NOTE
from matinee.serve.asking import DEFAULT_ALIAS
from matinee.serve.experiments import EXPERIMENTS_NOTE, read_experiments
from matinee.serve.ready_bundle import manifest_of
from matinee.serve.store import Store
from matinee.serve.take_in import unfinished, unfinished_words


def refuse_elsewhere(bundles: Path, store: str) -> None:
    """Refuse an empty folder where the store's server answers from a bundle that is not in it.

    Raises:
        InputError: it does; the sentence says what to move where.
    """
    name = with_store(store, _behind_default)
    if name is not None and not names_in(bundles):
        raise InputError(
            f"The server of this store answers from the bundle {name!r}, which is not in {bundles}: put it "
            f"there (mv {name} {bundles / name}), serve the folder, and refresh again."
        )


def refuse_unfinished(bundles: Path, store: str) -> None:
    """Refuse a store into which a bundle's histories are still going: it holds a part of what happened.

    What counts are bundles of the folder, and the one that the store's server answers from.

    Raises:
        InputError: such a bundle was begun and is not finished.
    """
    begun = with_store(store, unfinished)
    if not begun:
        return
    behind = with_store(store, _behind_default)
    here = {manifest_of(bundles / name)["log"]["fingerprint"] for name in names_in(bundles)}
    for fingerprint, name in begun.items():
        if fingerprint in here or name == behind:
            raise InputError(unfinished_words(name))


async def _behind_default(store: Store) -> str | None:
    """The bundle that the store's note has behind the default alias; None: there is none."""
    told: dict[str, list[str]] = json.loads(await store.note(ALIASES_NOTE) or "{}")
    names = told.get(DEFAULT_ALIAS, [])
    return str(names[0]) if names else None


async def wanted(store: Store) -> set[str]:
    """Names of the bundles that a store's aliases and experiments need."""
    aliases: dict[str, list[str]] = json.loads(await store.note(ALIASES_NOTE) or "{}")
    found = {name for names in aliases.values() for name in names[:2]}
    for one in read_experiments(await store.note(EXPERIMENTS_NOTE)):
        found |= one.bundles()
    return found


def store_of(sources: Sequence[str], told: str | None) -> str | None:
    """The store that is read, or told; None: there is none.

    Args:
        sources: one store's URL, or the files of a log.
        told: the store that is told where the events are from files.

    Raises:
        InputError: stores and files are mixed.
    """
    stores = [one for one in sources if is_store(one)]
    if not stores:
        if told is not None:
            refuse_missing(told)
        return told
    if len(sources) > 1:
        raise InputError(
            "A refresh reads one store, or the files of a log: a server takes the histories of the bundle "
            "that it starts with into its store by itself."
        )
    if told is not None and told != stores[0]:
        raise InputError("--store is for events from files: a store that is read is told, too.")
    refuse_missing(stores[0])
    return stores[0]
