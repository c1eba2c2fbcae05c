"""A store in PostgreSQL, for several machines: a pool of connections reads, one connection writes.

What many ask at once is written in one transaction, as in SQLite. Writers of all machines take turns at an
advisory lock, so that places in the log are given in the order of the commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from matinee.serve.changes import MEMBERS
from matinee.serve.postgres_journal import (
    DOES_NOT_ANSWER,
    PostgresJournal,
    PostgresLists,
    in_psycopg,
    postgres_refusal,
)
from matinee.serve.postgres_schema import Place, prepare
from matinee.serve.refusals import Refusal, StoreError
from matinee.serve.rows import Row
from matinee.serve.sql_store import SqlStore
from matinee.serve.writer import MOST_WAITING, Writer

_CONNECTIONS = 8
# Times that a query is asked whose connection is lost.
_TRIES = 3
# Seconds that a query waits for a connection.
_PATIENCE_S = 5.0

_HISTORY = (
    f"WITH member(id) AS ({MEMBERS}) SELECT h.item, h.kind, h.value, h.time_ms FROM member "  # noqa: S608
    "CROSS JOIN LATERAL (SELECT item, kind, value, time_ms, seq FROM event "
    'WHERE "user" = member.id AND withdrawn = 0 ORDER BY time_ms DESC, seq DESC LIMIT ?) h '
    "ORDER BY h.time_ms DESC, h.seq DESC LIMIT ?"
)


async def open_postgres(url: str, *, most_waiting: int = MOST_WAITING) -> SqlStore:
    """Open a store in a database, or make it.

    Args:
        url: postgresql://user:password@host:port/database?schema=NAME; without `schema` it is `matinee`.
        most_waiting: records that wait to be written at most; beyond, calls are refused.

    Raises:
        InputError: the server refuses, or the schema is not ours.
    """
    place = Place(url)
    secret = await asyncio.to_thread(prepare, place)
    journal = await asyncio.to_thread(PostgresJournal, place, secret)
    pool: Any = AsyncConnectionPool(
        place.address,
        kwargs={"autocommit": True, **place.options},
        configure=lambda connection: _configure(place, connection),
        min_size=1,
        max_size=_CONNECTIONS,
        timeout=_PATIENCE_S,
        reconnect_timeout=_PATIENCE_S,
        open=False,
    )
    await pool.open()
    return SqlStore(_Reader(place, pool), Writer(journal, most_waiting=most_waiting), secret)


class _Reader:
    """Queries through a pool; a connection that was lost is replaced, and the query asked again."""

    def __init__(self, place: Place, pool: Any) -> None:
        self._place = place
        self._pool = pool
        lists = PostgresLists()
        self.among, self.listed = lists.among, lists.listed

    async def rows(
        self,
        statement: str,
        values: Sequence[object] = (),
        *,
        long: bool = False,  # noqa: ARG002 (it is the server's work either way)
    ) -> list[Row]:
        lost: Exception = psycopg.OperationalError("the connection was lost")
        for _ in range(_TRIES):
            try:
                return await self._ask(statement, values)
            except PoolTimeout as error:
                words = f"{self._place.words}: no connection within {_PATIENCE_S:g} s."
                raise StoreError(words, outside=DOES_NOT_ANSWER) from error
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                lost = error
                # After a restart of the server every connection of the pool may be a lost one.
                await self._pool.check()
            except psycopg.Error as error:
                raise postgres_refusal(self._place, error) from error
            except (OverflowError, UnicodeEncodeError) as error:
                raise Refusal(
                    "A number beyond 64 bits or half of a surrogate pair is in no store."
                ) from error
        raise postgres_refusal(self._place, lost) from lost

    async def history(self, user: str, most: int) -> list[Row]:
        return await self.rows(_HISTORY, (user, user, user, user, most, most))

    def popular(self, condition: str, *, merged: bool) -> str:
        return popular_query(condition, merged=merged)

    async def close(self) -> None:
        await self._pool.close()

    async def _ask(self, statement: str, values: Sequence[object]) -> list[Row]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(in_psycopg(statement), values)
            found: list[Row] = await cursor.fetchall()
            return found


def popular_query(condition: str, *, merged: bool) -> str:
    """The query for (item, viewers), the most first.

    Args:
        condition: which events.
        merged: whether any viewers were merged.
    """
    who, join = 'e."user"', ""
    if merged:
        who, join = 'coalesce(m.root, e."user")', 'LEFT JOIN merged m ON m."user" = e."user"'
    # Told apart by hashing: count(DISTINCT ...) would sort.
    return (
        f"SELECT item, count(*) AS viewers FROM (SELECT DISTINCT e.item, {who} "  # noqa: S608
        f"FROM event e {join} WHERE {condition}) chosen "
        "GROUP BY item ORDER BY viewers DESC, item LIMIT ?"
    )


async def _configure(place: Place, connection: Any) -> None:
    await connection.execute(place.settings())
