"""Which bundle of a folder is in use, where no store says so: a small file beside the bundles.

A server keeps what its aliases mean in its store, and that goes first. The file tells a server that starts on
an empty store, and whoever works without one; it also keeps the latest changes, so that a bundle that was put
aside is not put back by the next daily run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from matinee.core.errors import InputError

FILE = "in_use.json"
# Bundles that an alias had before, and changes that are remembered.
_REMEMBERED = 10
_MOST_CHANGES = 200


@dataclass(frozen=True, kw_only=True)
class Change:
    """An alias was given another bundle.

    Attributes:
        time_ms: when.
        alias: which alias.
        bundle: the bundle's name.
        why: `refresh`, `activate` or `rollback`.
    """

    time_ms: int
    alias: str
    bundle: str
    why: str


@dataclass(frozen=True, kw_only=True)
class InUse:
    """What a folder says of its bundles.

    Attributes:
        aliases: alias -> the bundle in use, then those before it, the latest first.
        changes: what changed, the oldest first.
    """

    aliases: Mapping[str, Sequence[str]] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()

    def put(self, change: Change, names: Sequence[str] | None = None) -> InUse:
        """The same after a change.

        Args:
            change: the change.
            names: what the alias has from now on; None: the change's bundle, before what it had.
        """
        before = [one for one in self.aliases.get(change.alias, ()) if one != change.bundle]
        told = [change.bundle, *before] if names is None else list(names)
        return replace(
            self,
            aliases={**self.aliases, change.alias: tuple(told[:_REMEMBERED])},
            changes=(*self.changes, change)[-_MOST_CHANGES:],
        )

    def was_in_use(self, bundle: str) -> bool:
        """Whether a bundle has been in use, as far as is remembered."""
        return any(one.bundle == bundle for one in self.changes)


def read_in_use(folder: Path) -> InUse:
    """What a folder says; nothing where there is no such file.

    Raises:
        InputError: the file is not what matinee writes.
    """
    path = folder / FILE
    if not path.exists():
        return InUse()
    try:
        told = json.loads(path.read_bytes())
        aliases = {str(alias): tuple(map(str, names)) for alias, names in told["aliases"].items()}
        return InUse(aliases=aliases, changes=tuple(Change(**one) for one in told["changes"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not what matinee writes ({error}): remove it, and `matinee activate` says anew which "
            "bundle is in use."
        ) from error


def write_in_use(folder: Path, in_use: InUse) -> None:
    """Write what a folder says: all of it or nothing, and on the disk when this returns."""
    fresh = folder / f".{FILE}.{os.getpid()}"
    told = {
        "aliases": {alias: list(names) for alias, names in in_use.aliases.items()},
        "changes": [asdict(one) for one in in_use.changes],
    }
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(told, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / FILE)
    beside = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(beside)
    finally:
        os.close(beside)


def told_by(places: Sequence[Path], known: Mapping[str, Path]) -> dict[str, list[str]]:
    """What the folders of a server say of their aliases, as far as the bundles are there.

    Args:
        places: bundles, or folders of them; the first that speaks of an alias counts.
        known: the bundles that are there, by name.
    """
    found: dict[str, list[str]] = {}
    for place in places:
        for alias, names in read_in_use(place).aliases.items():
            there = [name for name in names if name in known]
            if there:
                found.setdefault(alias, there)
    return found
