"""API keys: made once, shown once, kept as a hash, good for reading, writing or everything.

They are kept in one note of the store, so that every process and machine knows the same ones. A key is 256
bits of chance behind an id, so that one SHA-256 is as good as any slow hash: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Annotated

import msgspec

from matinee.core.errors import InputError
from matinee.serve.refusals import Forbidden, NotFound, StoreError, Unauthorised
from matinee.serve.store import Store

READ, WRITE, ADMIN = "read", "write", "admin"
# What a key may be good for: asking; telling and reading viewers; everything.
SCOPES = (READ, WRITE, ADMIN)
NOTE = "keys"
# Where the page keeps the key that somebody typed.
COOKIE = "matinee_key"
_FORM = re.compile(r"mat_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_LONGEST_NAME = 100
# How often a server without keys looks whether there is one.
_LOOK_S = 0.25


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One key, without what would open anything.

    Attributes:
        id: its public name, which stands in the key too.
        name: what it is for, in its maker's words.
        scopes: what it is good for.
        made_ms: when it was made.
        sha256: the hash of the whole key, in hex.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    made_ms: int
    sha256: Annotated[str, msgspec.Meta(min_length=64, max_length=64)]

    def good_for(self, scope: str) -> bool:
        """Whether it is; `admin` is good for everything."""
        return scope in self.scopes or ADMIN in self.scopes


# Who comes to a server without keys.
ANYBODY = Key(id="", name="anybody", scopes=(ADMIN,), made_ms=0, sha256="0" * 64)


class Keys:
    """The keys of a store.

    Args:
        store: where they are kept.
        now_ms: the clock.
        needed: whether one is asked for where there is none yet; else from the first one on that anybody
            makes, for good.
    """

    def __init__(self, store: Store, now_ms: Callable[[], int], *, needed: bool = True) -> None:
        self._store, self._now_ms = store, now_ms
        self._needed, self._looked_at = needed, -math.inf
        self._version: int | None = None
        self._known: dict[str, Key] = {}

    async def make(self, name: str, scopes: Sequence[str] = (READ,)) -> tuple[Key, str]:
        """Make a key. The text is returned here and never again.

        Raises:
            InputError: a scope is unknown, or the name is empty or too long.
        """
        unknown = [one for one in scopes if one not in SCOPES]
        if unknown or not scopes:
            raise InputError(
                f"A key's scopes are some of {', '.join(SCOPES)}: found {', '.join(unknown) or 'none'}."
            )
        if not 0 < len(name.strip()) <= _LONGEST_NAME or "\x00" in name:
            raise InputError(f"A key's name has 1 to {_LONGEST_NAME} characters: say what it is for.")
        public = secrets.token_hex(8)
        text = f"mat_{public}_{secrets.token_urlsafe(32)}"
        made = Key(
            id=public,
            name=name.strip(),
            scopes=tuple(one for one in SCOPES if one in scopes),
            made_ms=self._now_ms(),
            sha256=_hash(text),
        )
        await self._store.change_note(NOTE, lambda note: _written([*_keys_in(note), made]))
        return made, text

    async def listed(self) -> list[Key]:
        """Every key, the oldest first."""
        return await self._read()

    async def revoke(self, id_or_name: str) -> Key:
        """Make a key worthless, in every process, from its next request on.

        Raises:
            NotFound: no key has this id or name.
            InputError: several have this name.
        """
        revoked: list[Key] = []

        def without(note: str | None) -> str:
            keys = _keys_in(note)
            revoked[:] = [_meant(keys, id_or_name)]
            return _written([one for one in keys if one.id != revoked[0].id])

        await self._store.change_note(NOTE, without)
        return revoked[0]

    async def check(self, text: str | None, scope: str) -> Key:
        """The key that a request brought, if it is good for what is asked.

        Raises:
            Unauthorised: none came, or nobody knows it.
            Forbidden: it is not good for this.
        """
        if not await self.asked_for():
            return ANYBODY
        if not text:
            raise Unauthorised(
                "A key is needed: send it as the header Authorization: Bearer KEY, or as X-API-Key."
            )
        form = _FORM.fullmatch(text)
        known = None if form is None else (await self._current()).get(form[1])
        # Without such a key the same work is done, against a hash that nothing has.
        right = hmac.compare_digest(_hash(text), known.sha256 if known else "0" * 64)
        if known is None or not right:
            raise Unauthorised("Nobody knows this key: it may have been revoked. Ask for a new one.")
        if not known.good_for(scope):
            raise Forbidden(
                f"The key {known.name!r} is good for {', '.join(known.scopes)}: this needs {scope}."
            )
        return known

    async def asked_for(self) -> bool:
        """Whether a request needs a key; who made the first one waits a quarter of a second at most."""
        if not self._needed and monotonic() - self._looked_at >= _LOOK_S:
            self._looked_at = monotonic()
            self._needed = bool(await self._current())
        return self._needed

    async def find(self, public: str) -> Key | None:
        """The key with an id; None where there is none."""
        return (await self._current()).get(public)

    async def _current(self) -> dict[str, Key]:
        version = await self._store.notes_version()
        if version != self._version:
            self._known = {one.id: one for one in await self._read()}
            self._version = version
        return self._known

    async def _read(self) -> list[Key]:
        return _keys_in(await self._store.note(NOTE))


def key_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The key that a request brought: Authorization: Bearer KEY, or X-API-Key: KEY; None where none came.

    Args:
        headers: those of the request, in small letters.
    """
    way, _, rest = headers.get(b"authorization", b"").partition(b" ")
    key = rest.strip() if way.lower() == b"bearer" else headers.get(b"x-api-key", b"")
    return key.decode("latin-1") or None


def browser_key_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The key that a browser brought: its cookie `matinee_key`, a password, or as any other client."""
    way, _, rest = headers.get(b"authorization", b"").partition(b" ")
    if way.lower() == b"basic":
        try:
            return b64decode(rest.strip(), validate=True).decode("latin-1").partition(":")[2] or None
        except ValueError:
            return None
    for part in headers.get(b"cookie", b"").decode("latin-1").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value or None
    return key_of(headers)


def _meant(keys: Sequence[Key], id_or_name: str) -> Key:
    meant = [one for one in keys if id_or_name in (one.id, one.name)]
    if not meant:
        raise NotFound(f"No key has the id or name {id_or_name!r}.")
    if len(meant) > 1:
        ids = ", ".join(one.id for one in meant)
        raise InputError(f"Several keys are called {id_or_name!r}: say which by its id: {ids}.")
    return meant[0]


def _keys_in(note: str | None) -> list[Key]:
    if note is None:
        return []
    try:
        return msgspec.json.decode(note, type=list[Key])
    except msgspec.MsgspecError:
        raise StoreError("The store's keys are not what this version writes.") from None


def _written(keys: Sequence[Key]) -> str:
    return msgspec.json.encode(keys).decode()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
