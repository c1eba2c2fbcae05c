"""Where bundles lie on disk, and what their manifests say of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matinee.answers.manifest import MANIFEST, is_bundle
from matinee.core.errors import BundleError, InputError, MatineeError
from matinee.serve.ready_bundle import created_of, manifest_of
from matinee.serve.service import BundleFacts

# What a list of bundles does not repeat of a manifest.
_UNTOLD = ("files", "seal", "parts", "log", "config", "format")


def find_bundles(places: Sequence[Path]) -> dict[str, Path]:
    """Every bundle by its folder's name, the newest of each place first.

    Args:
        places: folders that are bundles, or that hold bundles.

    Raises:
        InputError: a place does not exist, or two bundles have one name.
    """
    found: dict[str, Path] = {}
    for place in places:
        for folder in _bundles_in(place):
            name = folder.resolve().name
            if found.get(name, folder).resolve() != folder.resolve():
                raise InputError(
                    f"{found[name]} and {folder} are both called {name}: give one another folder's name."
                )
            found[name] = folder
    return found


def facts_of(name: str, folder: Path, aliases: Sequence[str]) -> BundleFacts:
    """What a bundle's manifest says of it, unchecked.

    Raises:
        BundleError: it is no manifest.
    """
    manifest = manifest_of(folder)
    try:
        said = manifest["log"]
        return BundleFacts(
            name=name,
            aliases=tuple(aliases),
            recommender=str(manifest["name"]),
            fingerprint=str(manifest["seal"]),
            created=str(manifest["created"]),
            items=int(said["items"]),
            viewers=int(said["viewers"]),
            events=int(said["events"]),
            facts={key: value for key, value in manifest.items() if key not in _UNTOLD},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{folder / MANIFEST}: it is not what `matinee fit` writes: {error!r}.") from error


def _bundles_in(place: Path) -> Iterable[Path]:
    """A folder that is a bundle, or the bundles that it holds.

    Raises:
        InputError: there is no such folder.
    """
    if is_bundle(place):
        return [place]
    if not place.is_dir():
        raise InputError(f"{place}: there is no such folder; `matinee fit LOG -o BUNDLE` writes a bundle.")
    inside = (one for one in place.iterdir() if not one.name.startswith(".") and is_bundle(one))
    return sorted(inside, key=lambda one: created_of(_manifest_or_nothing(one)), reverse=True)


def _manifest_or_nothing(folder: Path) -> Mapping[str, Any]:
    try:
        return manifest_of(folder)
    except MatineeError:
        return {}
