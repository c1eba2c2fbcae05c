"""Bytes of a file as they were before gzip, zstd, bzip2 or lz4, told apart by their first bytes."""

from __future__ import annotations

import codecs
import io
from pathlib import Path
from typing import Any

import pyarrow as pa

from matinee.core.errors import DataError

_COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bz2",
    b"\x04\x22\x4d\x18": "lz4",
}
_BLOCK = 1 << 20


def compression_of(head: bytes) -> str | None:
    """The compression that a file's first bytes name, or None."""
    return next((name for magic, name in _COMPRESSIONS.items() if head.startswith(magic)), None)


def open_bytes(path: Path, compression: str | None) -> Any:
    """An Arrow input stream over the file's uncompressed bytes."""
    source = pa.OSFile(str(path), "rb")
    return source if compression is None else pa.CompressedInputStream(source, compression)


def open_text(path: Path, compression: str | None, encoding: str) -> io.TextIOWrapper:
    """The file's text, line ends as they are."""
    return io.TextIOWrapper(
        io.BufferedReader(open_bytes(path, compression), _BLOCK),
        encoding="utf-8-sig" if encoding == "utf-8" else encoding,
        newline="",
    )


def read_start(path: Path, compression: str | None, size: int) -> bytes:
    """The first bytes of the uncompressed file.

    Raises:
        DataError: the compressed file is damaged.
    """
    try:
        with open_bytes(path, compression) as stream:
            return bytes(stream.read(size))
    except (OSError, pa.ArrowInvalid) as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> DataError:
    """The error for a file that cannot be read to its end."""
    words = str(error).splitlines()[0].rstrip(".")
    return DataError(
        f"the file cannot be read to its end: {words}", file=path, remedy="Copy or download it again."
    )


def encoding_of(path: Path, compression: str | None) -> str:
    """`utf-8` where all of the file is UTF-8, else `latin-1`, which any bytes are."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_bytes(path, compression) as stream:
        try:
            while block := stream.read(_BLOCK):
                decoder.decode(bytes(block))
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8"
