"""Named arrays in a safetensors file: written whole, read as memory maps, checked before use.

The format (huggingface/safetensors, format.md) is a length, a JSON header and raw bytes: no code.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.core.errors import BundleError

Tensors = Mapping[str, NDArray[Any]]

_TYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
# How the format's own library orders tensors: by type, the last of these first, then by name.
_RANKS = ("BOOL", "U8", "I8", "I16", "U16", "F16", "I32", "U32", "F32", "F64", "I64", "U64")
_HEADER_LIMIT = 100_000_000


def write_tensors(path: Path, tensors: Tensors) -> None:
    """Write named arrays; contents alone decide the bytes, which are those of the format's own library.

    Raises:
        OSError: the disk is full, or the file cannot be written.
    """
    words = {np.dtype(kind): word for word, kind in _TYPES.items()}
    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    # The widest first, so that each lies at a multiple of its own size.
    order = sorted(arrays, key=lambda name: (-_RANKS.index(words[arrays[name].dtype]), name))
    header, end = {}, 0
    for name in order:
        array = arrays[name]
        header[name] = {
            "dtype": words[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [end, end + array.nbytes],
        }
        end += array.nbytes
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    _write(path, [len(text).to_bytes(8, "little"), text, *(arrays[name].data for name in order)])


def describe(tensors: Tensors) -> dict[str, list[Any]]:
    """Type and shape of each tensor, as the manifest keeps them."""
    names = {np.dtype(kind): word for word, kind in _TYPES.items()}
    return {name: [names[array.dtype], list(array.shape)] for name, array in sorted(tensors.items())}


def read_tensors(path: Path, expected: Mapping[str, Any] | None = None) -> dict[str, NDArray[Any]]:
    """Named arrays as read-only memory maps.

    Args:
        path: a safetensors file.
        expected: what `describe` said of the tensors when they were written; None: not checked.

    Raises:
        BundleError: the file is no safetensors file, or its tensors are not the expected ones.
    """
    try:
        tensors = _read(path)
    except (ValueError, KeyError, TypeError, OSError, AttributeError) as error:
        raise BundleError(f"{path}: expected a safetensors file: {error}.") from error
    found = describe(tensors)
    if expected is not None and found != dict(expected):
        wrong = next(
            name for name in sorted({*found, *expected}) if found.get(name) != list(expected.get(name, ()))
        )
        raise BundleError(
            f"{path}: tensor {wrong!r} is {found.get(wrong, 'missing')}, "
            f"the manifest says {expected.get(wrong, 'there is none')}."
        )
    return tensors


def _write(path: Path, parts: Sequence[bytes | memoryview]) -> None:
    with path.open("wb") as file:
        for part in parts:
            file.write(part)


def _read(path: Path) -> dict[str, NDArray[Any]]:
    size = path.stat().st_size
    if size < 8:
        raise ValueError(f"found only {size} bytes")
    raw = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
    length = int(raw[:8].view("<u8")[0])
    if length > min(size - 8, _HEADER_LIMIT):
        raise ValueError(f"its header would be {length} bytes long, the file has {size}")
    header = json.loads(bytes(raw[8 : 8 + length]))
    header.pop("__metadata__", None)
    body = raw[8 + length :]
    return {name: _tensor(body, name, entry) for name, entry in header.items()}


def _tensor(body: NDArray[np.uint8], name: str, entry: Mapping[str, Any]) -> NDArray[Any]:
    if entry["dtype"] not in _TYPES:
        raise ValueError(f"tensor {name!r} has the type {entry['dtype']!r}, known are {', '.join(_TYPES)}")
    kind = np.dtype(_TYPES[entry["dtype"]])
    shape = tuple(int(side) for side in entry["shape"])
    start, end = (int(place) for place in entry["data_offsets"])
    if min(shape, default=0) < 0 or not 0 <= start <= end <= len(body):
        raise ValueError(f"tensor {name!r} lies outside the file")
    if end - start != math.prod(shape) * kind.itemsize:
        raise ValueError(f"tensor {name!r} has {end - start} bytes, its shape asks for another number")
    return body[start:end].view(kind).reshape(shape)
