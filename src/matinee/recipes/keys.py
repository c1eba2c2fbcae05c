"""Keys of a store, from outside a server: made, listed, revoked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from matinee.core.errors import InputError, MissingExtra
from matinee.recipes.store_log import refuse_missing

if TYPE_CHECKING:
    from matinee.serve.keys import Key, Keys
    from matinee.serve.store import Store

T = TypeVar("T")


def add_key(store: str, name: str, scopes: Sequence[str]) -> tuple[Key, str]:
    """Make a key: what is kept of it, and its text, which is told this once.

    Raises:
        InputError: the store is unusable, a scope unknown, or the name no name.
    """
    return _with_keys(store, lambda keys: keys.make(name, scopes))


def aws_pair(store: str, key: Key) -> tuple[str, str]:
    """The access key id and the secret access key with which clients of Amazon Personalize sign, for a key.

    Raises:
        InputError: the store is unusable.
    """

    async def pair(opened: Store) -> tuple[str, str]:
        from matinee.serve.signers import pair_for

        return await pair_for(opened, key)

    return _with_store(store, pair)


def list_keys(store: str) -> list[Key]:
    """Every key of a store, the oldest first.

    Raises:
        InputError: the store is unusable, or there is none.
    """
    refuse_missing(store)
    return _with_keys(store, lambda keys: keys.listed())


def revoke_key(store: str, id_or_name: str) -> Key:
    """Make a key worthless.

    Raises:
        InputError: the store is unusable or not there, or no key or several have this name.
    """
    refuse_missing(store)

    async def revoke(keys: Keys) -> Key:
        from matinee.serve.refusals import NotFound

        try:
            return await keys.revoke(id_or_name)
        except NotFound as error:
            raise InputError(str(error)) from error

    return _with_keys(store, revoke)


def _with_keys(url: str, do: Callable[[Keys], Awaitable[T]]) -> T:
    async def story(store: Store) -> T:
        from matinee.serve.keys import Keys
        from matinee.serve.start import clock

        return await do(Keys(store, clock))

    return _with_store(url, story)


def _with_store(url: str, do: Callable[[Store], Awaitable[T]]) -> T:
    try:
        from matinee.serve.open_store import open_store
    except ImportError as error:
        raise MissingExtra("A server's keys", "serve") from error

    async def story() -> T:
        try:
            store = await open_store(url)
        except ImportError as error:
            raise MissingExtra("A server's keys", "serve") from error
        try:
            return await do(store)
        finally:
            await store.close()

    return asyncio.run(story())
