"""The bundles of a server: which there are, which are in use under which alias, and how that changes.

What an alias means is a note of the store, so that every process and machine agrees. A change made elsewhere
is loaded in the background and swapped in when it is ready: requests go on with what was in use until then.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from matinee.answers.model import Model, without_viewers
from matinee.core.errors import InputError, MatineeError
from matinee.serve.aliases import ALIASES_NOTE, aliases_of, changed, unless_said
from matinee.serve.asking import DEFAULT_ALIAS
from matinee.serve.bundle_folders import facts_of, find_bundles
from matinee.serve.deleted_viewers import deleted_of
from matinee.serve.experiments import EXPERIMENTS_NOTE, Experiment, read_experiments
from matinee.serve.id_key import IdKey, with_hashed_viewers
from matinee.serve.in_use import told_by
from matinee.serve.ready_bundle import ReadyBundle, manifest_of, needs_people, read_ready
from matinee.serve.refusals import Conflict, NotFound, Refusal
from matinee.serve.service import BundleFacts
from matinee.serve.store import Store
from matinee.serve.trained_with import bundles_with

# Bundles that an alias had before, which a rollback goes back to.
_REMEMBERED = 10
# What could not be loaded is tried again after so many seconds; deleted viewers are asked for that often.
_AGAIN_AFTER_S = 30.0
_BURIED_EVERY_S = 60.0

_log = logging.getLogger("matinee.serve")


@dataclass(kw_only=True)
class _Wanted:
    """What the store's notes say."""

    aliases: dict[str, list[str]] = field(default_factory=dict)
    experiments: tuple[Experiment, ...] = ()

    def names(self) -> set[str]:
        used = {names[0] for names in self.aliases.values() if names}
        for one in self.experiments:
            used |= one.bundles()
        return used


class BundleShelf:
    """Keeps `matinee.serve.service.Bundles`.

    Args:
        places: folders that are bundles, or that hold bundles.
        store: where aliases are kept.
        key: what makes hashes of viewers' ids, where the store keeps such; None: it keeps ids as they are.

    Raises:
        InputError: a place is neither, or two bundles have one name.
    """

    def __init__(self, places: Sequence[Path], store: Store, key: IdKey | None = None) -> None:
        self._places, self._store, self._key = tuple(places), store, key
        self._folders: dict[str, Path] = {}
        self._ready: dict[str, ReadyBundle] = {}
        self._aliases: dict[str, list[str]] = {}
        self.experiments: tuple[Experiment, ...] = ()
        self._version = -1
        self._loading: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()
        self._troubles: dict[str, str] = {}
        self._visitor: str | None = None
        self._again_at, self._buried_at = 0.0, time.monotonic()
        self._look()
        if not self._folders:
            raise InputError(
                f"{', '.join(map(str, places))}: no bundle is there; `matinee fit LOG -o BUNDLE` writes one."
            )

    async def open(self) -> None:
        """Load what the aliases name; without a note what the folders say, or else the newest bundle.

        Raises:
            Refusal: the default's bundle cannot be read.
        """
        version = await self._store.notes_version()
        wanted = await self._wanted()
        default = wanted.aliases.get(DEFAULT_ALIAS, [])
        noted = bool(default)
        if not default or default[0] not in self._folders:
            told = told_by(self._places, self._folders)
            default = told.pop(DEFAULT_ALIAS, [next(iter(self._folders))])
            wanted.aliases = {**({} if noted else told), **wanted.aliases, DEFAULT_ALIAS: default}
        self._ready[default[0]] = await self._load(default[0])
        await self._take(wanted)
        self._version = version
        if not noted:
            await self._write()

    def facts(self) -> list[BundleFacts]:
        """Every bundle that can be asked or activated, the newest first."""
        self._look()
        found = []
        for name in self._folders:
            try:
                found.append(self._facts(name))
            except MatineeError as error:
                _log.warning("bundle %s is left out of the list: %s", name, error)
        return sorted(found, key=lambda one: one.created, reverse=True)

    def names(self) -> Mapping[str, str]:
        """The bundle's name behind each alias."""
        return {alias: names[0] for alias, names in self._aliases.items() if names}

    def troubles(self) -> Mapping[str, str]:
        """Bundles that are wanted and cannot be loaded, and why."""
        return dict(self._troubles)

    async def trained_with(self, users: Sequence[str]) -> list[str]:
        """Names of the bundles that still hold what any of some viewers did, those not in use included."""
        self._look()
        return await asyncio.to_thread(bundles_with, users, list(self._folders.values()), self._key)

    def ready(self) -> Sequence[ReadyBundle]:
        """Everything that is loaded."""
        return list(self._ready.values())

    def behind(self, alias: str) -> ReadyBundle:
        """What answers under an alias.

        Raises:
            NotFound: nothing has the alias.
        """
        names = self._aliases.get(alias)
        ready = self._ready.get(names[0]) if names else None
        if ready is None:
            known = ", ".join(sorted(self.names()))
            raise NotFound(f"No bundle has the alias {alias!r}: aliases are {known}.")
        return ready

    def loaded(self, name: str) -> ReadyBundle | None:
        """A bundle by name, where it is loaded."""
        return self._ready.get(name)

    async def named(self, name: str) -> ReadyBundle:
        """A bundle by name; one that is not in use is loaded, and the one asked for last stays.

        Raises:
            NotFound: there is no such bundle.
            Refusal: it cannot be read.
        """
        ready = self._ready.get(name)
        if ready is None:
            self._require(name)
            ready = await self._load(name)
            self._ready[name] = ready
            self._visitor = name
            self._drop_unused()
        return ready

    async def check(self, name: str) -> None:
        """See that a bundle is there and can be read; refused as `named` refuses."""
        self._require(name)
        if self._fresh(name) is None:
            await self._load(name)

    async def caught_up(self) -> None:
        """Do what the store's notes say, and return when it is done here."""
        await self.settled()
        await self.follow()
        await self.settled()

    async def follow(self) -> int:
        """See whether aliases or experiments changed elsewhere; what is new is loaded in the background.

        Returns:
            The version of the store's notes.
        """
        version = await self._store.notes_version()
        if self._loading is None and not self._changing.locked():
            if version != self._version or (self._troubles and time.monotonic() > self._again_at):
                self._loading = asyncio.create_task(self._catch_up(version))
            elif time.monotonic() > self._buried_at + _BURIED_EVERY_S and any(
                needs_people(one.model) for one in self._ready.values()
            ):
                self._loading = asyncio.create_task(self._bury())
        return version

    async def settled(self) -> None:
        """Wait until what is loading is in use."""
        while self._loading is not None:
            await asyncio.shield(self._loading)

    async def activate(self, name: str, alias: str = DEFAULT_ALIAS) -> BundleFacts:
        """Put a bundle behind an alias, in every process; returns when this one answers from it.

        Raises:
            NotFound: there is no such bundle.
            Refusal: it cannot be read; what was in use stays in use.
        """
        async with self._changing:
            self._require(name)
            ready = self._fresh(name) or await self._load(name)
            self._ready[name] = ready

            def first(names: list[str]) -> list[str]:
                return [name, *(one for one in names if one != name)][:_REMEMBERED]

            await self._put(alias, first)
        return self._facts(name)

    async def rollback(self, alias: str = DEFAULT_ALIAS) -> BundleFacts:
        """Put back what an alias had before.

        Raises:
            Conflict: it had nothing before.
        """
        async with self._changing:
            wanted = await self._wanted()
            names = wanted.aliases.get(alias, [])
            if len(names) < 2:
                raise Conflict(f"The alias {alias!r} had no bundle before: there is nothing to go back to.")
            name = names[1]
            if name not in self._folders:
                self._look()
            if name not in self._folders:
                raise Conflict(f"The alias {alias!r} had the bundle {name!r} before, which is gone.")
            self._ready[name] = self._fresh(name) or await self._load(name)

            def back(now: list[str]) -> list[str]:
                if now != names:
                    raise Conflict(f"The alias {alias!r} was given another bundle meanwhile: look again.")
                return names[1:]

            await self._put(alias, back)
        return self._facts(name)

    async def close(self) -> None:
        """Let go of what is loading."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)

    def _look(self) -> None:
        """See which bundles there are."""
        self._folders = find_bundles(self._places)

    def _require(self, name: str) -> None:
        if name not in self._folders:
            self._look()
        if name not in self._folders:
            raise NotFound(f"There is no bundle {name!r}: there are {', '.join(sorted(self._folders))}.")

    def _fresh(self, name: str) -> ReadyBundle | None:
        """The loaded bundle of this name, unless another one was written into its place."""
        ready = self._ready.get(name)
        try:
            same = (
                ready is not None and manifest_of(self._folders[name]).get("seal") == ready.model.fingerprint
            )
        except MatineeError:
            return None
        return ready if same else None

    def _facts(self, name: str) -> BundleFacts:
        aliases = sorted(alias for alias, one in self.names().items() if one == name)
        return facts_of(name, self._folders[name], aliases)

    async def _load(self, name: str) -> ReadyBundle:
        """Read a bundle in a thread of its own, without the viewers whom the store has deleted.

        Raises:
            Refusal: it cannot be read.
        """
        folder = self._folders[name]
        try:
            ready = await asyncio.to_thread(read_ready, folder, name)
            if self._key is not None:
                await asyncio.to_thread(_put, ready, with_hashed_viewers(ready.model, self._key))
        except (MatineeError, OSError) as error:
            raise Refusal(f"The bundle {name!r} cannot be used: {error}", 409) from error
        version = await self._store.items_version()
        records = await self._store.items_since(0) if version else []
        gone = await self._forgotten(ready)
        if gone:
            await _without(ready, gone)
        ready.live.update(records)
        ready.items_version = version
        return ready

    async def _forgotten(self, ready: ReadyBundle) -> frozenset[str]:
        """Viewers whom the store has deleted since, where a bundle answers from other people's histories."""
        if not needs_people(ready.model):
            return frozenset()
        return await deleted_of(self._store, ready.model, ready.created_ms)

    async def _catch_up(self, version: int) -> None:
        """Load what the notes want and put it in use; what cannot be loaded leaves its alias as it was."""
        try:
            async with self._changing:
                self._again_at = time.monotonic() + _AGAIN_AFTER_S
                self._version = version
                await self._take(await self._wanted())
        except MatineeError as error:
            self._troubles["notes"] = str(error)
            _log.warning("the store's notes could not be followed: %s", error)
        finally:
            self._loading = None

    async def _bury(self) -> None:
        """Take viewers whom the store has deleted meanwhile out of what answers from other people."""
        try:
            self._buried_at = time.monotonic()
            for ready in self.ready():
                gone = await self._forgotten(ready) - ready.model.deleted
                if gone:
                    await _without(ready, gone)
        except MatineeError as error:
            _log.warning("the store could not say whom it has deleted: %s", error)
        finally:
            self._loading = None

    async def _take(self, wanted: _Wanted) -> None:
        self._troubles = {}
        for name in sorted(wanted.names()):
            await self._make_ready(name)
        for alias, names in wanted.aliases.items():
            if names and names[0] in self._ready:
                self._aliases[alias] = names
        for alias in set(self._aliases) - set(wanted.aliases):
            del self._aliases[alias]
        self.experiments = wanted.experiments
        self._drop_unused()

    async def _make_ready(self, name: str) -> None:
        try:
            self._require(name)
            self._ready[name] = self._fresh(name) or await self._load(name)
        except MatineeError as error:
            self._troubles[name] = str(error)
            _log.warning("%s", error)

    async def _put(self, alias: str, change: Callable[[list[str]], list[str]]) -> None:
        """Tell everybody what an alias has from now on, and use it here."""
        told = aliases_of(await self._store.change_note(ALIASES_NOTE, changed(alias, change)))
        for one, names in told.items():
            if names and names[0] in self._ready:
                self._aliases[one] = names
        self._drop_unused()

    async def _write(self) -> None:
        """Note what the folders said, unless somebody was quicker."""
        for alias, names in dict(self._aliases).items():
            await self._store.change_note(ALIASES_NOTE, changed(alias, partial(unless_said, names)))

    def _drop_unused(self) -> None:
        used = {names[0] for names in self._aliases.values()}
        for one in self.experiments:
            used |= one.bundles()
        self._ready = {
            name: one for name, one in self._ready.items() if name in used or name == self._visitor
        }

    async def _wanted(self) -> _Wanted:
        aliases = aliases_of(await self._store.note(ALIASES_NOTE))
        try:
            experiments = read_experiments(await self._store.note(EXPERIMENTS_NOTE))
        except Refusal as error:
            # An experiment that nobody can read must not keep people from their answers.
            _log.warning("%s No experiment runs.", error)
            experiments = ()
        return _Wanted(aliases=aliases, experiments=experiments)


async def _without(ready: ReadyBundle, users: frozenset[str]) -> None:
    """Put a model in a bundle's place that has never known some viewers, once it is ready."""
    await asyncio.to_thread(_put, ready, without_viewers(ready.model, users))


def _put(ready: ReadyBundle, model: Model) -> None:
    """Put another model in a bundle's place, once it is ready."""
    replace(ready, model=model).warm()
    ready.model = model
    ready.__dict__.pop("watchers", None)
