"""A bundle: a fitted model as a folder of tensors and tables, complete, checked and free of code.

```
manifest.json                  what it is; size and SHA-256 of every other file
parts/NAME/config.json         kind and settings of a part
parts/NAME/weights.safetensors what its answers need
parts/NAME/sums.safetensors    what an update of the fit needs, where there is any
parts/regions/, parts/regionN-NAME/   which regions have a model of their own, and that model's parts
popularity.safetensors         weighted events of each item
items.parquet                  the catalogue: id, title, ...
viewers.parquet, histories.parquet, friends.parquet, negatives.parquet   unless written without histories
index/NAME.safetensors         of a large catalogue: how the best items are found without a look at all
golden.json                    queries with their answers
tombstones.json                beside the hashed set: viewers deleted since
```
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from matinee.answers import tables
from matinee.answers.compact import compact
from matinee.answers.context import Context
from matinee.answers.golden import check_golden, golden_of
from matinee.answers.index.build import LARGE, QUERIES, build
from matinee.answers.index.found import Index
from matinee.answers.index.queries import drawn_histories
from matinee.answers.index.stored import read_indices, write_indices
from matinee.answers.manifest import (
    LITTER,
    MANIFEST,
    Checks,
    bury,
    fingerprint,
    is_bundle,
    read_manifest,
    read_tombstones,
    write_manifest,
)
from matinee.answers.regions import REGIONS
from matinee.answers.scorers import JOINED, NEED_PEOPLE, make_scorer
from matinee.answers.tensors import describe, read_tensors, write_tensors
from matinee.core.errors import BundleError, InputError
from matinee.core.promise import Part, Scorer
from matinee.core.types import Float32, Histories, Ragged
from matinee.data.kinds_mean import KindsMean, kinds_mean_from_json
from matinee.data.log import InteractionLog
from matinee.data.vocabulary import Vocabulary

_PART_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")

# Tables of lists, and what their column of codes is called.
_LISTED = {"friends": "friend", "negatives": "item"}

# What comes of files that are sealed and yet are not what a fit writes.
_MISFITS = (KeyError, ValueError, TypeError, IndexError, AttributeError, RecursionError)


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a bundle holds.

    Attributes:
        name: the recommender's name, which is the part that answers.
        config: every setting it was fitted with, plain JSON values.
        parts: the fitted parts by name.
        log: catalogue, viewers, histories, friends; without viewers where the bundle has no histories.
        popularity: float32, shape (items,): weighted events of each item.
        facts: what is said of the fit: split, seed, metrics with intervals and where they come from, cost.
        people: whether viewers and histories are part of it.
        deleted: ids of viewers who were deleted since it was written.
        fingerprint: what tells this bundle from every other; empty before it is written.
        indices: of a large catalogue, by part: how the best items are found; made when it is written.
    """

    name: str
    config: Mapping[str, Any]
    parts: Mapping[str, Part]
    log: InteractionLog
    popularity: Float32
    facts: Mapping[str, Any] = field(default_factory=dict)
    people: bool = True
    deleted: frozenset[str] = frozenset()
    fingerprint: str = ""
    indices: Mapping[str, Index] = field(default_factory=dict)

    def context(self) -> Context:
        """What scorers need beside their part."""
        return Context(
            n_items=self.log.n_items,
            popularity=self.popularity,
            histories=self.log.histories if self.people else None,
            friends=self.log.friends,
            negatives=self.log.negatives,
            repeats=self.log.repeats,
            viewers=self.log.viewer_table,
        )

    def scorer(self) -> Scorer:
        """What answers."""
        return make_scorer(self.parts.get(REGIONS, self.parts[self.name]), self.context(), self.parts)


def write_bundle(folder: Path, content: Content, *, large: int = LARGE) -> None:
    """Write a bundle; one that is there already is replaced only by a complete one.

    Args:
        folder: where.
        content: what is written.
        large: a catalogue of more items than that gets an index.

    Raises:
        InputError: the folder holds something else, or the model cannot answer without histories.
        OSError: the disk is full, or the folder cannot be written.
    """
    refuse_foreign(folder)
    if not content.people and any(part.kind in NEED_PEOPLE for part in content.parts.values()):
        raise InputError(
            f"{content.name} answers from other people's histories: keep them in the bundle (leave "
            "--no-histories out), or take another recommender."
        )
    buried = (read_tombstones(folder) if is_bundle(folder) else frozenset()) | content.deleted
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".new", dir=folder.parent))
    small = replace(content, parts={name: compact(part) for name, part in content.parts.items()})
    try:
        # An index finds what one model ranks first: by region every answer looks at all items.
        indexed = content.log.n_items > large and REGIONS not in content.parts
        said = _write_indices(fresh, small) if indexed else {}
        _fill(fresh, small if content.people else _without_people(small), said)
        if buried:
            bury(fresh, buried)
        _open_to_readers(fresh)
        _put_in_place(fresh, folder)
    except OSError as error:
        # The draft's name means nothing to anybody; the bundle's does.
        raise OSError(error.errno, error.strerror or str(error), str(folder)) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def read_bundle(folder: Path) -> Content:
    """Read a bundle, checking everything before it is used.

    Raises:
        BundleError: a file is missing, extra, truncated, altered, a link or not what it should be, or the
            golden queries are answered otherwise; the message names the file and the reason.
    """
    manifest = read_manifest(folder)
    try:
        with Checks(folder, manifest["files"]) as checks:
            content = _content(checks, manifest)
            golden = json.loads(checks.sure("golden.json").read_text(encoding="utf-8"))["queries"]
            checks.all_sure()
        # As it was written: without the deleted, those who answer from other people answer otherwise.
        check_golden(content.scorer(), golden, str(folder))
    except BundleError:
        raise
    except (*_MISFITS, InputError) as error:
        words = f"{type(error).__name__}: {error}"
        raise BundleError(f"{folder}: its files do not fit together ({words}); fit it again.") from error
    if content.deleted and content.people:
        return replace(content, log=without_events_of(content.log, content.deleted))
    return content


def refuse_foreign(folder: Path) -> None:
    """Refuse to write a bundle over anything else than a bundle or an empty folder.

    Raises:
        InputError: there is something else.
    """
    if folder.is_symlink():
        raise InputError(f"{folder} is a link: name the folder that it points to.")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: name a folder for the bundle.")
    if folder.is_dir() and any(one.name not in LITTER for one in folder.iterdir()) and not is_bundle(folder):
        raise InputError(f"{folder} holds other files: name a new or empty folder for the bundle.")


def _fill(folder: Path, content: Content, indices: Mapping[str, Any]) -> None:
    shapes = {}
    for name, part in content.parts.items():
        shapes[name] = _write_part(folder, name, part)
    write_tensors(folder / "popularity.safetensors", {"popularity": content.popularity})
    log = content.log
    tables.write_ids(folder / "items.parquet", log.items, log.item_table)
    if content.people:
        tables.write_ids(folder / "viewers.parquet", log.viewers, log.viewer_table)
        tables.write_histories(folder / "histories.parquet", log.histories)
        for name, column in _LISTED.items():
            lists: Ragged | None = getattr(log, name)
            if lists is not None:
                tables.write_ragged(folder / f"{name}.parquet", lists, column)
    golden = golden_of(content.scorer(), content.popularity, content.parts[content.name].settings)
    (folder / "golden.json").write_text(json.dumps({"queries": golden}), encoding="utf-8")
    write_manifest(
        folder,
        {
            **{key: value for key, value in content.facts.items() if key != "index"},
            **({"index": dict(indices)} if indices else {}),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "name": content.name,
            "config": dict(content.config),
            "parts": shapes,
            "people": content.people,
            "log": _log_facts(log, content.people),
        },
    )


def _write_indices(folder: Path, content: Content) -> dict[str, Any]:
    """Find out how the best items of a large catalogue are found quickest, and write what that takes."""
    queries = drawn_histories(content.log.histories, content.popularity, QUERIES, seed=0)
    whole = content.parts[content.name]
    names = [str(name) for name in whole.settings["parts"]] if whole.kind in JOINED else []
    voices = {name: make_scorer(content.parts[name], content.context()) for name in names}
    return write_indices(folder, build(content.name, content.scorer(), voices, queries))


def _write_part(folder: Path, name: str, part: Part) -> dict[str, Any]:
    if not _PART_NAME.fullmatch(name):
        raise InputError(f"A part named {name!r} cannot be written: use letters, digits, - and _.")
    place = folder / "parts" / name
    place.mkdir(parents=True)
    (place / "config.json").write_text(
        json.dumps({"kind": part.kind, "settings": dict(part.settings)}, indent=1, sort_keys=True),
        encoding="utf-8",
    )
    write_tensors(place / "weights.safetensors", part.tensors)
    if part.sums:
        write_tensors(place / "sums.safetensors", part.sums)
    return {"weights": describe(part.tensors), "sums": describe(part.sums)}


def _read_part(checks: Checks, name: str, shapes: Mapping[str, Any]) -> Part:
    if not _PART_NAME.fullmatch(name):
        raise BundleError(f"{checks.folder / MANIFEST}: it names the part {name!r}, which is no plain word.")
    place = f"parts/{name}"
    config = json.loads(checks.sure(f"{place}/config.json").read_text(encoding="utf-8"))
    sums = shapes["sums"]
    return Part(
        kind=config["kind"],
        settings=config["settings"],
        tensors=read_tensors(checks.sure(f"{place}/weights.safetensors"), shapes["weights"]),
        sums=read_tensors(checks.sure(f"{place}/sums.safetensors"), sums) if sums else {},
    )


def _log_facts(log: InteractionLog, people: bool) -> dict[str, Any]:
    return {
        "fingerprint": log.fingerprint,
        "kinds": list(log.kinds),
        "order": log.order,
        "repeats": log.repeats,
        "target": log.target,
        "meaning": None if log.meaning is None else log.meaning.to_json(),
        "items": log.n_items,
        "viewers": log.n_viewers if people else 0,
        "events": len(log) if people else 0,
        "friends": people and log.friends is not None,
        "negatives": people and log.negatives is not None,
    }


_OWN = ("name", "config", "parts", "people", "log", "format", "files", "seal")


def _content(checks: Checks, manifest: Mapping[str, Any]) -> Content:
    said, people = manifest["log"], bool(manifest["people"])
    # The tables first: what is large beside them is still being hashed.
    log = _log(checks, said, people)
    parts = {name: _read_part(checks, name, shapes) for name, shapes in manifest["parts"].items()}
    place = checks.sure("popularity.safetensors")
    popularity = read_tensors(place)["popularity"]
    if popularity.dtype != np.float32 or popularity.shape != (log.n_items,):
        raise BundleError(f"{place}: expected float32, one number an item.")
    return Content(
        name=manifest["name"],
        config=manifest["config"],
        parts=parts,
        log=log,
        popularity=popularity,
        facts={key: value for key, value in manifest.items() if key not in _OWN},
        people=people,
        deleted=read_tombstones(checks.folder),
        fingerprint=fingerprint(manifest),
        indices=read_indices(checks, manifest.get("index", {}), parts),
    )


def _log(checks: Checks, said: Mapping[str, Any], people: bool) -> InteractionLog:
    place = checks.sure("items.parquet")
    items, item_table = tables.read_ids(place)
    _expect(place, "items", said["items"], len(items))
    plain = InteractionLog(
        # Not of a list: pyarrow would load pandas to see that it is none of pandas.
        viewers=Vocabulary(pa.nulls(0, pa.large_string())),
        items=items,
        histories=_nobody(),
        item_table=item_table,
        kinds=tuple(said["kinds"]),
        order=said["order"],
        repeats=said["repeats"],
        target=said["target"],
        meaning=_meaning(said),
        fingerprint=said["fingerprint"],
    )
    if not people:
        return plain
    place = checks.sure("viewers.parquet")
    viewers, viewer_table = tables.read_ids(place)
    _expect(place, "viewers", said["viewers"], len(viewers))
    n, n_items = len(viewers), len(items)
    place = checks.sure("histories.parquet")
    histories = tables.read_histories(place, n, n_items)
    _expect(place, "events", said["events"], len(histories.items))
    return replace(
        plain,
        viewers=viewers,
        viewer_table=viewer_table,
        histories=histories,
        friends=_lists(checks, "friends", n, n) if said["friends"] else None,
        negatives=_lists(checks, "negatives", n, n_items) if said["negatives"] else None,
    )


def _lists(checks: Checks, name: str, viewers: int, limit: int) -> Ragged:
    return tables.read_ragged(checks.sure(f"{name}.parquet"), _LISTED[name], viewers, limit)


def _meaning(said: Mapping[str, Any]) -> KindsMean:
    """What the log's events mean; a bundle from before that was written down says what it does say."""
    known = {"kinds": said["kinds"], "target": said["target"]}
    return kinds_mean_from_json({**known, **(said.get("meaning") or {})})


def _expect(path: Path, what: str, told: int, found: int) -> None:
    if told != found:
        raise BundleError(f"{path}: {found:,} {what}, the manifest says {told:,}.")


def _nobody() -> Histories:
    return Histories(items=np.zeros(0, np.int32), offsets=np.zeros(1, np.int64))


def _without_people(content: Content) -> Content:
    empty = replace(
        content.log,
        viewers=Vocabulary([]),
        viewer_table=None,
        histories=_nobody(),
        friends=None,
        negatives=None,
    )
    return replace(content, log=empty)


def without_events_of(log: InteractionLog, deleted: frozenset[str]) -> InteractionLog:
    """The log without the events of deleted viewers; their codes stay, so that other codes do."""
    codes = log.viewers.codes(sorted(deleted))
    gone = np.zeros(len(log.viewers), dtype=bool)
    gone[codes[codes >= 0]] = True
    return log.keep(~gone[log.histories.rows()]) if gone.any() else log


def _put_in_place(fresh: Path, folder: Path) -> None:
    """Rename a finished folder into its place; what was there goes only when the new one stands."""
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        folder.rename(old)
    try:
        fresh.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _open_to_readers(folder: Path) -> None:
    """Give a bundle the rights that any new file has here: it was made in a private folder."""
    mask = os.umask(0)
    os.umask(mask)
    for path in (folder, *folder.rglob("*")):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)
