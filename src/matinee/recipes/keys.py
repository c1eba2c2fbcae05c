"""Keys of a store, from outside a server: made, listed, revoked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from matinee.core.errors import MissingExtra

if TYPE_CHECKING:
    from matinee.serve.keys import Key, Keys

T = TypeVar("T")


def add_key(store: str, name: str, scopes: Sequence[str]) -> tuple[Key, str]:
    """Make a key: what is kept of it, and its text, which is told this once.

    Raises:
        InputError: the store is unusable, a scope unknown, or the name no name.
    """
    return _with_keys(store, lambda keys: keys.make(name, scopes))


def list_keys(store: str) -> list[Key]:
    """Every key of a store, the oldest first.

    Raises:
        InputError: the store is unusable.
    """
    return _with_keys(store, lambda keys: keys.listed())


def revoke_key(store: str, id_or_name: str) -> Key:
    """Make a key worthless.

    Raises:
        InputError: the store is unusable, or several keys have this name.
        NotFound: none has.
    """
    return _with_keys(store, lambda keys: keys.revoke(id_or_name))


def _with_keys(url: str, do: Callable[[Keys], Awaitable[T]]) -> T:
    try:
        from matinee.serve.keys import Keys
        from matinee.serve.open_store import open_store
        from matinee.serve.start import clock
    except ImportError as error:
        raise MissingExtra("A server's keys", "serve") from error

    async def story() -> T:
        store = await open_store(url)
        try:
            return await do(Keys(store, clock))
        finally:
            await store.close()

    return asyncio.run(story())
