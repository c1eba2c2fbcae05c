"""The indices of a bundle as files: tensors beside its parts, settings in its manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matinee.answers.index.build import Built
from matinee.answers.index.found import Index
from matinee.answers.index.inverted_lists import InvertedLists
from matinee.answers.index.norm_bounds import NormBounds
from matinee.answers.manifest import Checks
from matinee.answers.tensors import describe, read_tensors, write_tensors
from matinee.core.errors import BundleError
from matinee.core.promise import Part
from matinee.core.types import Float32

FOLDER = "index"

WAYS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any], Float32], Index]] = {
    "inverted_lists": InvertedLists,
    "norm_bounds": NormBounds,
}


def write_indices(folder: Path, built: Built | None) -> dict[str, Any]:
    """Write indices into a bundle, and tell what the manifest says of them; empty where there are none."""
    if built is None:
        return {}
    (folder / FOLDER).mkdir()
    parts = {}
    for name, index in built.indices.items():
        write_tensors(folder / FOLDER / f"{name}.safetensors", index.tensors)
        parts[name] = {**index.settings, **built.facts[name], "tensors": describe(index.tensors)}
    return {"parts": parts, "joint": dict(built.joint)}


def read_indices(checks: Checks, said: Mapping[str, Any], parts: Mapping[str, Part]) -> dict[str, Index]:
    """The indices of a bundle, their tensors as memory maps.

    Args:
        checks: of the bundle's files.
        said: what its manifest says of them; empty where there are none.
        parts: its parts.

    Raises:
        BundleError: one is of a way that nobody here knows, or its file is not what the manifest says.
    """
    return {name: _read(checks, name, one, parts[name]) for name, one in said.get("parts", {}).items()}


def _read(checks: Checks, name: str, said: Mapping[str, Any], part: Part) -> Index:
    way = said["way"]
    if way not in WAYS:
        known = ", ".join(WAYS)
        raise BundleError(
            f"{checks.folder / FOLDER}: {name} has an index of the way {way!r}, known are {known}."
        )
    tensors = read_tensors(checks.sure(f"{FOLDER}/{name}.safetensors"), said["tensors"])
    return WAYS[way](tensors, said, part.tensors["items"])
