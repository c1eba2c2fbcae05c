"""The manifest of a bundle: which files belong to it, their sizes and hashes, and its own seal.

Everything is checked before anything is used: a bundle is refused with the file's name and the reason.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from matinee.core.errors import BundleError

FORMAT = 1
MANIFEST = "manifest.json"
TOMBSTONES = "tombstones.json"

# Files of more bytes are hashed by other threads, in pieces of as many.
_LARGE = 2**23

# What file managers leave in any folder that they show.
LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})

# A path of plain words and slashes: nothing that could leave the folder.
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*){0,3}")


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Hash every file of a finished bundle and write the manifest over them; all of it reaches the disk."""
    files = {path: _entry(folder / path) for path in _files(folder) if path not in (MANIFEST, TOMBSTONES)}
    for path in files:
        _sync(folder / path)
    manifest = {**content, "format": FORMAT, "files": files}
    (folder / MANIFEST).write_bytes(_bytes({**manifest, "seal": _seal(manifest)}))
    _sync(folder / MANIFEST)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle whose files are all there; what is in them is for `Checks` to look at.

    Raises:
        BundleError: the folder is no bundle, is of another format, or a file is missing, extra or a link;
            the message names it.
    """
    path = folder / MANIFEST
    if folder.is_file():
        raise BundleError(f"{folder} is a file: name the folder that `matinee fit` wrote.")
    if not folder.is_dir():
        raise BundleError(
            f"{folder}: there is no such folder; `matinee fit LOG -o {folder}` writes a bundle."
        )
    if path.is_symlink() or not path.is_file():
        raise BundleError(
            f"{path}: missing, or no plain file; this folder is no bundle, or an unfinished one."
        )
    manifest = _sealed(path)
    files = manifest.get("files")
    if not isinstance(files, dict):
        raise BundleError(f"{path}: it lists no files.")
    for name in files:
        if not _PATH.fullmatch(name) or ".." in name:
            raise BundleError(
                f"{path}: it lists the file {name!r}, which is no plain path inside the bundle."
            )
    there = set(_files(folder)) - {MANIFEST, TOMBSTONES}
    for name in sorted(set(files) - there):
        raise BundleError(f"{folder / name}: missing; the manifest lists it.")
    for name in sorted(there - set(files)):
        raise BundleError(f"{folder / name}: it is not part of the bundle; take it out of the folder.")
    return manifest


class Checks:
    """Whether the files of a bundle are what was written: to be asked of each before it is used.

    Large files are hashed by other threads, the largest first, while the small ones are read already. To be
    used as a context: whatever still goes on at its end is given up.

    Args:
        folder: the bundle.
        files: size and SHA-256 of each file, as its manifest has them.

    Raises:
        BundleError: a file has another size.
    """

    def __init__(self, folder: Path, files: Mapping[str, Any]) -> None:
        self.folder, self._files = folder, files
        self._given_up = threading.Event()
        sizes = {name: _checked_size(folder / name, entry) for name, entry in files.items()}
        large = sorted((name for name in sizes if sizes[name] > _LARGE), key=lambda name: -sizes[name])
        self._pool = ThreadPoolExecutor(max_workers=max(1, min(len(large), os.cpu_count() or 1)))
        self._hashed = {name: self._pool.submit(_sha256, folder / name, self._given_up) for name in large}
        self._sure: set[str] = set()

    def __enter__(self) -> Checks:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give up what is not needed any more."""
        self._given_up.set()
        self._pool.shutdown(cancel_futures=True)

    def sure(self, name: str) -> Path:
        """The path of a file that is what was written.

        Raises:
            BundleError: it was altered, or the manifest does not list it.
        """
        path = self.folder / name
        if name not in self._files:
            raise BundleError(f"{path}: missing; the manifest does not list it either.")
        if name not in self._sure:
            hashed = self._hashed[name].result() if name in self._hashed else _sha256(path)
            if hashed != self._files[name]["sha256"]:
                raise BundleError(
                    f"{path}: altered since the bundle was written (its SHA-256 differs): "
                    "copy the bundle again, or fit it again."
                )
            self._sure.add(name)
        return path

    def all_sure(self) -> None:
        """See that every file is what was written.

        Raises:
            BundleError: one was altered.
        """
        for name in self._files:
            self.sure(name)


def is_bundle(folder: Path) -> bool:
    """Whether a folder looks like a bundle, checked or not."""
    return (folder / MANIFEST).is_file()


def fingerprint(manifest: Mapping[str, Any]) -> str:
    """What tells one bundle from every other: the manifest's seal, which covers every file's hash."""
    return str(manifest["seal"])


def read_tombstones(folder: Path) -> frozenset[str]:
    """Ids of viewers who were deleted from a bundle; empty where there is no such file.

    Raises:
        BundleError: the file is not what `bury` writes.
    """
    path = folder / TOMBSTONES
    if not path.exists():
        return frozenset()
    if not path.is_file():
        raise BundleError(f"{path}: expected a plain file that names deleted viewers, found a folder.")
    try:
        ids = json.loads(path.read_text(encoding="utf-8"))["viewers"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f'{path}: expected {{"viewers": [ids]}}: {error}.') from error
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise BundleError(f"{path}: expected a list of viewer ids that are texts.")
    return frozenset(ids)


def bury(folder: Path, viewers: frozenset[str]) -> None:
    """Name viewers whose data must not be used any more; what was buried before stays buried."""
    text = json.dumps({"viewers": sorted(read_tombstones(folder) | viewers)}, ensure_ascii=False)
    fresh = folder / f"{TOMBSTONES}.new"
    fresh.write_text(text, encoding="utf-8")
    _sync(fresh)
    fresh.replace(folder / TOMBSTONES)


def _sealed(path: Path) -> dict[str, Any]:
    raw = path.read_bytes()
    try:
        manifest = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: expected JSON: {error}.") from error
    if not isinstance(manifest, dict):
        raise BundleError(f"{path}: expected a JSON object.")
    if manifest.get("format") != FORMAT:
        raise BundleError(
            f"{path}: the bundle has format {manifest.get('format')!r}, this matinee reads format {FORMAT}: "
            "fit it again, or install the version that wrote it."
        )
    if not _is_as_written(manifest, raw):
        raise BundleError(f"{path}: altered since the bundle was written: copy it again, or fit it again.")
    return manifest


def _is_as_written(manifest: Mapping[str, Any], raw: bytes) -> bool:
    content = {key: value for key, value in manifest.items() if key != "seal"}
    try:
        return manifest.get("seal") == _seal(content) and _bytes(manifest) == raw
    except (ValueError, RecursionError):
        # Numbers that JSON lacks, or more brackets within brackets than anybody writes.
        return False


def _files(folder: Path) -> list[str]:
    """Every file under a folder, as paths from it; an empty folder as its path with a slash.

    Raises:
        BundleError: something in it is neither a plain file nor a folder.
    """
    found = []
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place) / name
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise BundleError(f"{path}: a bundle holds plain files only, no links.")
        inside = Path(place).relative_to(folder)
        found += [(inside / name).as_posix() for name in files if name not in LITTER]
        if not folders and not files and place != str(folder):
            found.append(f"{inside.as_posix()}/")
    return sorted(found)


def _checked_size(path: Path, entry: Any) -> int:
    if not isinstance(entry, dict) or not {"bytes", "sha256"} <= set(entry):
        raise BundleError(f"{path}: the manifest does not say its size and SHA-256.")
    size = path.stat().st_size
    if size != entry["bytes"]:
        raise BundleError(f"{path}: {size:,} bytes, expected {entry['bytes']:,}: truncated or altered.")
    return size


def _entry(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": _sha256(path)}


def _sha256(path: Path, given_up: threading.Event | None = None) -> str:
    """The hash of a file, read in pieces so large that a thread seldom waits for its turn."""
    hashed, piece = hashlib.sha256(), memoryview(bytearray(min(_LARGE, path.stat().st_size)))
    with path.open("rb", buffering=0) as file:
        while n := file.readinto(piece):
            if given_up is not None and given_up.is_set():
                return ""
            hashed.update(piece[:n])
    return hashed.hexdigest()


def _seal(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_bytes(content)).hexdigest()


def _bytes(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
