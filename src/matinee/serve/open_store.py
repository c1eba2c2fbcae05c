"""Opening a store by its URL."""

from __future__ import annotations

import asyncio
from pathlib import Path

from matinee.core.errors import InputError, MissingExtra
from matinee.serve.sqlite_schema import check_file
from matinee.serve.sqlite_store import open_sqlite
from matinee.serve.store import Store

_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")


async def open_store(url: str) -> Store:
    """Open a store, or make it where there is none.

    Args:
        url: `sqlite:///store.db` (beside where the program runs), `sqlite:////folder/store.db`, or
            `postgresql://user:password@host:port/database`.

    Raises:
        InputError: it cannot be a store; the sentence says why and what to do, without the password.
        MissingExtra: psycopg is not installed.
    """
    if url.startswith(_POSTGRES):
        try:
            from matinee.serve.postgres_store import open_postgres
        except ImportError as error:
            raise MissingExtra("A store in PostgreSQL", "postgres") from error
        return await open_postgres(url)
    return await asyncio.to_thread(open_sqlite, _path_of(url))


async def check_store(url: str) -> list[str]:
    """What is wrong with a SQLite store's file, by SQLite's own examination of every page; empty: nothing.

    Raises:
        InputError: the URL is none of a SQLite file, or there is none.
    """
    path = _path_of(url)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file.")
    return await asyncio.to_thread(check_file, path)


def _path_of(url: str) -> Path:
    if not url.startswith(_SQLITE):
        # What was given may hold a password: only its beginning is repeated.
        scheme, separator, _ = url.partition("://")
        found = repr(f"{scheme[:20]}://...") if separator else "a name without any of these before it"
        raise InputError(
            f"A store is named by sqlite:///FILE, sqlite:////FOLDER/FILE or postgresql://...; found {found}."
        )
    name = url.removeprefix(_SQLITE)
    if not name or "\0" in name:
        raise InputError("sqlite:/// names no file: write sqlite:///store.db.")
    return Path(name)
