"""Ids of viewers as keyed hashes: a store that was begun with a key never holds an id as it was sent.

A hash is HMAC-SHA256 under the operator's key, cut to 128 bits, as text that begins with "h-". It bears a
mark that only the key can make, so that a hash that comes back, from a list or a bundle, is known as one and
stands for itself. Whoever has no key can neither reckon a viewer's hash nor try ids until one fits. The key
is the operator's to keep: the store holds a check value, and nothing here writes the key anywhere.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from matinee.answers.model import Model
from matinee.core.errors import InputError
from matinee.data.vocabulary import Vocabulary
from matinee.serve.store import Store
from matinee.serve.take_in import NOTE as TAKEN_IN

# Names the key's file where no option does.
VARIABLE = "MATINEE_ID_KEY"
# The note in which a store keeps the check value of its key.
NOTE = "id_key"

_FORM = re.compile(r"h-[0-9a-f]{40}")
_BYTES, _MARK_BYTES, _CHECK_BYTES = 16, 4, 8
_SHORTEST, _LONGEST = 32, 4096
_BLOCK = hashlib.sha256().block_size


class IdKey:
    """Makes hashes of ids.

    Args:
        key: the operator's secret.
    """

    def __init__(self, key: bytes) -> None:
        # HMAC of RFC 2104, with the key's part done once: a bundle may have a million viewers.
        block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
        self.check = self._hmac(b"check", b"")[:_CHECK_BYTES].hex()

    def hashed(self, id_: str) -> str:
        """A viewer's or session's id as it is kept; a hash of this key's stays what it is."""
        if id_.startswith("h-") and _FORM.fullmatch(id_):
            raw = bytes.fromhex(id_[2:])
            if hmac.compare_digest(raw[_BYTES:], self._mark(raw[:_BYTES])):
                return id_
        raw = self._hmac(b"viewer", id_.encode("utf-8", "surrogatepass"))[:_BYTES]
        return f"h-{(raw + self._mark(raw)).hex()}"

    def hashed_event(self, id_: str) -> str:
        """A sender's id of an event, which may be made of a viewer's: the same one again is the same hash."""
        return self._hmac(b"event", id_.encode("utf-8", "surrogatepass"))[:_BYTES].hex()

    def _mark(self, raw: bytes) -> bytes:
        return self._hmac(b"mark", raw)[:_MARK_BYTES]

    def _hmac(self, what: bytes, told: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(what + b"\0" + told)
        outer.update(inner.digest())
        return outer.digest()


def looks_hashed(id_: str) -> bool:
    """Whether an id has the form of a hash, whichever key made it."""
    return _FORM.fullmatch(id_) is not None


def read_id_key(path: Path) -> IdKey:
    """The key in a file.

    Raises:
        InputError: there is none, others may read it, or it is too short to be a secret.
    """
    make = f"make one: (umask 077; openssl rand -hex 32 > {path})"
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            key = file.read(_LONGEST + 1).strip()
    except OSError as error:
        raise InputError(f"The key of ids, {path}: {error.strerror}; {make}.") from error
    if stat.S_IMODE(found.st_mode) & 0o077:
        mode = f"{stat.S_IMODE(found.st_mode):o}"
        raise InputError(f"The key of ids, {path}, may be read by others (mode {mode}): chmod 600 {path}.")
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise InputError(
            f"The key of ids, {path}, has {len(key):,} characters, expected {_SHORTEST} to {_LONGEST:,}; "
            f"{make}."
        )
    return IdKey(key)


async def agree(store: Store, key: IdKey | None) -> None:
    """See that a store was begun with this key, or without one; an empty store is begun with it.

    Raises:
        InputError: it was begun otherwise.
    """
    noted = await store.note(NOTE)
    if key is None:
        if noted is not None:
            raise InputError(
                "This store keeps ids as hashes: name the file of the key that it was begun with by "
                f"--hash-ids or {VARIABLE}."
            )
        return
    # Another process of the same server may have begun with the key in between, and taken histories in.
    if noted is None and not await _is_empty(store) and await store.note(NOTE) is None:
        raise InputError(
            "--hash-ids: this store was begun without a key and holds ids as they were sent: name a store "
            "that does not exist yet, or leave --hash-ids out."
        )
    noted = await store.change_note(NOTE, lambda now: now or key.check)
    if not hmac.compare_digest(noted, key.check):
        raise InputError(
            "--hash-ids: this is not the key that the store was begun with: under another one nobody is "
            "known. Name the file of the first one."
        )


async def ids_as_kept(store: Store, ids: Sequence[str]) -> list[str]:
    """Ids from elsewhere as a store keeps them; the key is that of the environment's file.

    Raises:
        InputError: the store keeps hashes, some of the ids are none, and no key, or not its own, is named.
    """
    if await store.note(NOTE) is None or all(map(looks_hashed, ids)):
        return list(ids)
    path = os.environ.get(VARIABLE)
    key = None if not path else read_id_key(Path(path))
    await agree(store, key)
    return list(ids) if key is None else [key.hashed(one) for one in ids]


def with_hashed_viewers(model: Model, key: IdKey) -> Model:
    """The same model as if it had been fitted on hashes: bundles of raw ids go with a store of hashes."""
    log = model.log
    viewers = _hashed(log.viewers.arrow, key)
    table = log.viewer_table
    if table is not None:
        place = table.column_names.index("id")
        table = table.set_column(place, "id", _hashed(table.column("id"), key))
    return replace(
        model,
        log=replace(log, viewers=Vocabulary(viewers), viewer_table=table),
        deleted=frozenset(key.hashed(one) for one in model.deleted),
    )


def _hashed(ids: Any, key: IdKey) -> pa.Array:
    return pa.array([key.hashed(one) for one in ids.to_pylist()], pa.large_string())


async def _is_empty(store: Store) -> bool:
    if await store.note(TAKEN_IN) is not None or await store.impressions(0, 1):
        return False
    return not await store.events(0, 1) and not await store.viewers("", 1)
