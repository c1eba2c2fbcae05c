"""The manifest of a bundle: which files belong to it, their sizes and hashes, and its own seal.

Everything is checked before anything is used: a bundle is refused with the file's name and the reason.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matinee.core.errors import BundleError

FORMAT = 1
MANIFEST = "manifest.json"
TOMBSTONES = "tombstones.json"

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
    """The manifest of a bundle whose files are all there, whole and unaltered.

    Raises:
        BundleError: the folder is no bundle, is of another format, or a file is missing, extra, a link,
            truncated or altered; the message names it.
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
    for name, entry in files.items():
        _check(folder / name, entry)
    return manifest


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
        raise BundleError(f"{path}: altered since the bundle was written.")
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


def _check(path: Path, entry: Any) -> None:
    if not isinstance(entry, dict) or not {"bytes", "sha256"} <= set(entry):
        raise BundleError(f"{path}: the manifest does not say its size and SHA-256.")
    size = path.stat().st_size
    if size != entry["bytes"]:
        raise BundleError(f"{path}: {size:,} bytes, expected {entry['bytes']:,}: truncated or altered.")
    if _sha256(path) != entry["sha256"]:
        raise BundleError(f"{path}: altered since the bundle was written (its SHA-256 differs).")


def _entry(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": _sha256(path)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _seal(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_bytes(content)).hexdigest()


def _bytes(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
