"""Ids of answers that say themselves what they are from, so that answering writes nothing.

An id is told fields and a keyed hash over them, as text that fits into a URL; whoever has no key can neither
make nor change one. It is authenticated, not secret.
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from hmac import compare_digest

# Of an answer to nobody in particular, and of one that was made for a viewer.
_FORMAT, _WITH_VIEWER = b"\x01", b"\x02"
_TIME_BYTES = 6
_NONCE_BYTES = 5
_HASH_BYTES = 10
_VIEWER_BYTES = 4
# Of each name at most so many bytes are kept: an id is at most 243 characters long.
LONGEST_NAME = 38
_NAMES = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What an id tells of its answer.

    Attributes:
        placement: where it was shown.
        bundle: what answered.
        source: what ranked it.
        arm: "experiment/arm"; empty where there is none.
        time_ms: when.
        nonce: what tells two answers of one moment apart; empty: `make` draws one.
        viewer: a keyed hash of whom it was made for, another one in each id; empty: nobody in particular.
    """

    placement: str = ""
    bundle: str = ""
    source: str = ""
    arm: str = ""
    time_ms: int = 0
    nonce: str = ""
    viewer: str = ""


def make(secret: bytes, told: Told, user: str | None = None) -> str:
    """An id that `read` understands with the same key.

    Args:
        secret: the store's key.
        told: what the id tells; names longer than 38 bytes are cut.
        user: whom the answer is for; None: nobody in particular, or whom `told` says.
    """
    nonce = (bytes.fromhex(told.nonce) if told.nonce else os.urandom(_NONCE_BYTES))[:_NONCE_BYTES]
    viewer = bytes.fromhex(told.viewer) if user is None else _viewer(secret, nonce, user)
    body = b"".join(
        (
            _WITH_VIEWER if viewer else _FORMAT,
            max(told.time_ms, 0).to_bytes(8, "big")[-_TIME_BYTES:],
            nonce,
            viewer,
            *(_named(name) for name in (told.placement, told.bundle, told.source, told.arm)),
        )
    )
    return base64.urlsafe_b64encode(body + _hash(secret, body)).rstrip(b"=").decode()


def read(secret: bytes, id_: str) -> Told | None:
    """What an id tells; None where it was made with another key, was altered or is no such id."""
    try:
        raw = base64.b64decode(id_.encode("ascii") + b"=" * (-len(id_) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    body, mark = raw[:-_HASH_BYTES], raw[-_HASH_BYTES:]
    canonical = base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == id_
    known = body[:1] in (_FORMAT, _WITH_VIEWER)
    if not canonical or not known or not compare_digest(mark, _hash(secret, body)):
        return None
    start = 1 + _TIME_BYTES + _NONCE_BYTES
    viewer = body[start : start + _VIEWER_BYTES] if body[:1] == _WITH_VIEWER else b""
    start += len(viewer)
    names: list[str] = []
    for _ in range(_NAMES):
        end = start + 1 + body[start]
        names.append(body[start + 1 : end].decode())
        start = end
    placement, bundle, source, arm = names
    return Told(
        placement=placement,
        bundle=bundle,
        source=source,
        arm=arm,
        time_ms=int.from_bytes(body[1 : 1 + _TIME_BYTES], "big"),
        nonce=body[1 + _TIME_BYTES : 1 + _TIME_BYTES + _NONCE_BYTES].hex(),
        viewer=viewer.hex(),
    )


def is_for(secret: bytes, told: Told, user: str) -> bool:
    """Whether an answer was made for a viewer, or for nobody in particular."""
    if not told.viewer:
        return True
    return compare_digest(_viewer(secret, bytes.fromhex(told.nonce), user).hex(), told.viewer)


@lru_cache(maxsize=256)
def _named(name: str) -> bytes:
    raw = name.encode("utf-8", "replace")
    if len(raw) > LONGEST_NAME:
        raw = raw[:LONGEST_NAME].decode("utf-8", "ignore").encode()
    return bytes((len(raw),)) + raw


def _hash(secret: bytes, body: bytes) -> bytes:
    return _keyed(secret, body, _HASH_BYTES, b"matinee answer")


def _viewer(secret: bytes, nonce: bytes, user: str) -> bytes:
    """With the nonce, so that two ids do not tell that they are one viewer's."""
    return _keyed(secret, nonce + user.encode("utf-8", "replace"), _VIEWER_BYTES, b"matinee viewer")


def _keyed(secret: bytes, body: bytes, size: int, person: bytes) -> bytes:
    key = secret if len(secret) <= blake2b.MAX_KEY_SIZE else blake2b(secret).digest()
    return blake2b(body, key=key, digest_size=size, person=person).digest()
