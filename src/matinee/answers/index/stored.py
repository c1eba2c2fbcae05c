"""The indices of a bundle as files: tensors beside its parts, settings in its manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matinee.answers.index.found import Index
from matinee.answers.index.inverted_lists import InvertedLists
from matinee.answers.index.norm_bounds import NormBounds
from matinee.answers.tensors import describe, read_tensors, write_tensors
from matinee.core.errors import BundleError
from matinee.core.promise import Part
from matinee.core.types import Float32

FOLDER = "index"

WAYS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any], Float32], Index]] = {
    "inverted_lists": InvertedLists,
    "norm_bounds": NormBounds,
}


def write_index(folder: Path, name: str, index: Index) -> dict[str, Any]:
    """Write the index of a part into a bundle, and tell what the manifest says of it."""
    (folder / FOLDER).mkdir(exist_ok=True)
    write_tensors(folder / FOLDER / f"{name}.safetensors", index.tensors)
    return {**index.settings, "tensors": describe(index.tensors)}


def read_index(folder: Path, name: str, said: Mapping[str, Any], part: Part) -> Index:
    """The index of a part, its tensors as memory maps.

    Raises:
        BundleError: it is of a way that nobody here knows, or its file is not what the manifest says.
    """
    way = said["way"]
    if way not in WAYS:
        known = ", ".join(WAYS)
        raise BundleError(f"{folder / FOLDER}: {name} has an index of the way {way!r}, known are {known}.")
    tensors = read_tensors(folder / FOLDER / f"{name}.safetensors", said["tensors"])
    return WAYS[way](tensors, said, part.tensors["items"])
