"""Which bundle of a folder serves: put one in use, or go back to the one before.

A server's aliases are in its store, and a change there reaches every process of it without a dropped request.
The folder's own file says the same to a server that begins on an empty store.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matinee.answers.manifest import is_bundle
from matinee.answers.model import load
from matinee.core.errors import InputError
from matinee.recipes.store_log import refuse_missing, with_store
from matinee.serve.aliases import ALIASES_NOTE
from matinee.serve.asking import DEFAULT_ALIAS
from matinee.serve.bundle_shelf import BundleShelf
from matinee.serve.in_use import Change, InUse, read_in_use, write_in_use
from matinee.serve.ready_bundle import created_of, manifest_of
from matinee.serve.refusals import Refusal
from matinee.serve.store import Store


@dataclass(frozen=True, kw_only=True)
class Activated:
    """What is in use now.

    Attributes:
        alias: the alias.
        bundle: the bundle behind it.
        before: the one that was there; None: there was none.
        store: whether a server's store was told.
    """

    alias: str
    bundle: str
    before: str | None
    store: bool

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"alias": self.alias, "bundle": self.bundle, "before": self.before, "store": self.store}


def activate(
    bundles: Path, name: str, *, store: str | None = None, alias: str = DEFAULT_ALIAS, why: str = "activate"
) -> Activated:
    """Put a bundle in use.

    Args:
        bundles: the folder of bundles.
        name: the bundle's name in it.
        store: the store of a server that serves this folder; None: only the folder is told.
        alias: the alias.
        why: what the folder remembers of it.

    Raises:
        InputError: there is no such bundle, or it cannot be read; what was in use stays in use.
    """
    require_bundles(bundles)
    if name not in names_in(bundles):
        known = ", ".join(names_in(bundles))
        raise InputError(f"{bundles} has no bundle {name!r}: there are {known}.")
    before = used_in(bundles, store, alias)
    if store is None:
        load(bundles / name)
    else:
        _told(store, bundles, alias, lambda shelf: shelf.activate(name, alias))
    _put(bundles, Change(time_ms=_now_ms(), alias=alias, bundle=name, why=why), before)
    return Activated(alias=alias, bundle=name, before=before, store=store is not None)


def rollback(bundles: Path, *, store: str | None = None, alias: str = DEFAULT_ALIAS) -> Activated:
    """Put back the bundle that was in use before.

    Args:
        bundles: the folder of bundles.
        store: the store of a server that serves this folder; None: only the folder is told.
        alias: the alias.

    Raises:
        InputError: there was none before, or it is gone or cannot be read.
    """
    require_bundles(bundles)
    before = used_in(bundles, store, alias)
    told = read_in_use(bundles)
    if store is None:
        there = [one for one in told.aliases.get(alias, ()) if one in names_in(bundles)]
        if before is None:
            raise InputError(f"{bundles}: no bundle is in use as {alias!r}: there is nothing to go back to.")
        if len(there) < 2:
            raise InputError(
                f"{bundles}: no bundle was in use before {before}: there is nothing to go back to."
            )
        names = there[1:]
        load(bundles / names[0])
    else:
        names = _told(store, bundles, alias, lambda shelf: shelf.rollback(alias))
    change = Change(time_ms=_now_ms(), alias=alias, bundle=names[0], why="rollback")
    write_in_use(bundles, told.put(change, names))
    return Activated(alias=alias, bundle=names[0], before=before, store=store is not None)


def used_in(bundles: Path, store: str | None = None, alias: str = DEFAULT_ALIAS) -> str | None:
    """The bundle of a folder that is in use: by the store, by the folder, or the newest; None: there is none.

    The newest stands for the default alias alone: that is what a server takes where nobody said anything.
    """
    there = names_in(bundles)
    noted = [] if store is None else with_store(store, lambda one: _aliases(one, alias))
    for names in (noted[:1], read_in_use(bundles).aliases.get(alias, ())):
        for name in names:
            if name in there:
                return name
    return there[0] if there and alias == DEFAULT_ALIAS else None


def names_in(bundles: Path) -> list[str]:
    """The bundles of a folder, the newest first."""
    if not bundles.is_dir():
        return []
    found = [one for one in bundles.iterdir() if not one.name.startswith(".") and is_bundle(one)]
    return [one.name for one in sorted(found, key=_created, reverse=True)]


def require_bundles(bundles: Path) -> None:
    """Refuse what is no folder of bundles.

    Raises:
        InputError: there is no such folder, it is a bundle itself, or none is in it.
    """
    if is_bundle(bundles):
        raise InputError(f"{bundles} is a bundle: name the folder that it is in.")
    if not names_in(bundles):
        raise InputError(f"{bundles}: no bundle is there; `matinee refresh STORE -o {bundles}` writes one.")


def _told(
    store: str, bundles: Path, alias: str, change: Callable[[BundleShelf], Awaitable[object]]
) -> list[str]:
    """Change a store's aliases as a server would; what the alias has from now on."""
    refuse_missing(store)

    async def story(kept: Store) -> list[str]:
        await change(BundleShelf([bundles], kept))
        return await _aliases(kept, alias)

    try:
        return with_store(store, story)
    except Refusal as error:
        raise InputError(str(error)) from error


async def _aliases(store: Store, alias: str) -> list[str]:
    told: dict[str, list[str]] = json.loads(await store.note(ALIASES_NOTE) or "{}")
    return [str(one) for one in told.get(alias, [])]


def _put(bundles: Path, change: Change, before: str | None) -> None:
    told = read_in_use(bundles)
    if change.alias not in told.aliases and before is not None and before != change.bundle:
        # What was in use without anybody's word is what a rollback goes back to.
        told = InUse(aliases={**told.aliases, change.alias: (before,)}, changes=told.changes)
    write_in_use(bundles, told.put(change))


def _created(folder: Path) -> tuple[int, str]:
    try:
        return created_of(manifest_of(folder)), folder.name
    except InputError:
        return 0, folder.name


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
