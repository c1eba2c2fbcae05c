"""Transactions of a PostgreSQL database, one at a time among all processes and machines."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import psycopg

from matinee.core.errors import MatineeError
from matinee.serve.postgres_schema import TURN, Place, first_line
from matinee.serve.refusals import Refusal, StoreError, StoreFull
from matinee.serve.rows import EVENT_COLUMNS, IMPRESSION_COLUMNS, Row

# The types of the columns that `rows.EVENT_COLUMNS` and `rows.IMPRESSION_COLUMNS` name.
_EVENT_TYPES = (
    *(
        "text",
        "text",
        "text",
        "bigint",
        "double precision",
        "text",
        "text",
        "bigint",
        "text",
        "text",
        "smallint",
    ),
)
_IMPRESSION_TYPES = ("text", "text", "bigint", "text", "text")


# What is said over HTTP: the rest names the host, the database and its user.
DOES_NOT_ANSWER = "The store does not answer; the server's log says why."


class PostgresLists:
    """How a list of texts is given to PostgreSQL: as an array."""

    def among(self, column: str) -> str:
        """The condition that a column is one of a list, which is given as `listed`."""
        return f"{column} = ANY(?)"

    def listed(self, texts: Sequence[str]) -> list[str]:
        """A list as a statement's value."""
        return list(texts)


@lru_cache(maxsize=256)
def in_psycopg(statement: str) -> str:
    """A statement with psycopg's sign for a value."""
    return statement.replace("?", "%s")


class _Hand:
    """The transaction in progress."""

    def __init__(self, connection: Any, secret: bytes) -> None:
        self.secret = secret
        self._execute = connection.execute
        lists = PostgresLists()
        self.among, self.listed = lists.among, lists.listed

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[Row]:
        found: list[Row] = self._execute(in_psycopg(statement), values).fetchall()
        return found

    def changed(self, statement: str, values: Sequence[object] = ()) -> int:
        count: int = self._execute(in_psycopg(statement), values).rowcount
        return count

    def insert_events(self, rows: Sequence[Row]) -> None:
        self._insert("event", EVENT_COLUMNS, _EVENT_TYPES, rows)

    def insert_impressions(self, rows: Sequence[Row]) -> None:
        self._insert("impression", IMPRESSION_COLUMNS, _IMPRESSION_TYPES, rows)

    def _insert(self, table: str, columns: str, types: Sequence[str], rows: Sequence[Row]) -> None:
        arrays = ", ".join(f"%s::{kind}[]" for kind in types)
        self._execute(
            f"INSERT INTO {table} ({columns}) SELECT {columns} "  # noqa: S608 (names of tables)
            f"FROM unnest({arrays}) WITH ORDINALITY AS new({columns}, place) ORDER BY place",
            [list(column) for column in zip(*rows, strict=True)],
        )


class PostgresJournal:
    """Transactions of one database.

    Args:
        place: where it is.
        secret: the store's own.
    """

    def __init__(self, place: Place, secret: bytes) -> None:
        self._place = place
        self._secret = secret
        self._connection = place.connect()

    def begin(self) -> _Hand:
        """Wait for this process's turn, and begin; connect again where the server was restarted."""
        try:
            self._begin()
        except psycopg.OperationalError:
            # Nothing was done yet.
            self._drop()
            self._connection = self._place.connect()
            self._begin()
        return _Hand(self._connection, self._secret)

    def commit(self) -> None:
        """Make durable what was written."""
        done = self._connection.execute("COMMIT").statusmessage
        if done != "COMMIT":
            words = f"{self._place.words}: the server did not commit ({done})."
            raise StoreError(words, outside="The store did not keep it: send it again.")

    def rollback(self) -> None:
        """Undo what was written."""
        try:
            self._connection.execute("ROLLBACK")
        except psycopg.Error:
            # The server undoes what a lost connection had begun.
            self._drop()

    def rest(self) -> None:
        """Nothing: the server looks after itself."""

    def refusal(self, error: Exception) -> MatineeError | None:
        """The sentence for an error of psycopg's."""
        return postgres_refusal(self._place, error) if isinstance(error, psycopg.Error) else None

    def is_ill(self, error: Exception) -> bool:
        """Whether nothing can be written at present."""
        return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError, StoreError))

    def close(self) -> None:
        """Let go."""
        self._drop()

    def _begin(self) -> None:
        # One message, one answer.
        self._connection.execute(f"BEGIN; {TURN}")

    def _drop(self) -> None:
        with suppress(psycopg.Error):
            self._connection.close()


def postgres_refusal(place: Place, error: Exception) -> Refusal:
    """The sentence for an error of psycopg's."""
    if isinstance(error, psycopg.errors.DiskFull):
        why = "the disk is full: nothing of this was kept; make room, then send it again."
        return StoreFull(f"{place.words}: {why}", outside=f"The store: {why}")
    if isinstance(error, (psycopg.DataError, psycopg.IntegrityError)):
        return Refusal(f"A value is not what the store keeps there: {first_line(error)}.")
    return StoreError(f"{place.words}: {first_line(error)}.", outside=DOES_NOT_ANSWER)
