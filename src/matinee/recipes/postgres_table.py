"""A nightly table in PostgreSQL: chunks are copied into a staging table that takes the old one's place."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pyarrow as pa
import pyarrow.csv as pacsv

from matinee.core.errors import InputError, MissingExtra
from matinee.recipes.nightly import SCHEMA, Plan

DEFAULT_TABLE = "recommendations"
_COLUMNS = tuple(SCHEMA.names)


class PostgresTable:
    """A table of a PostgreSQL database, replaced as a whole in one transaction.

    Two tables stand beside it while it is made: NAME_new takes the rows, NAME_progress says which chunks are
    in it; a chunk's rows and its note are one transaction, so that a kill leaves both or neither.

    Args:
        address: postgresql://user:password@host:port/database?table=schema.name; without `table` the table
            is `recommendations`.

    Raises:
        MissingExtra: psycopg is not installed.
    """

    def __init__(self, address: str) -> None:
        try:
            import psycopg
            from psycopg import sql
        except ImportError as error:
            raise MissingExtra("Writing to PostgreSQL", "postgres") from error
        self._psycopg, self._sql = psycopg, sql
        parts = urlsplit(address)
        query = dict(parse_qsl(parts.query))
        self._name = query.pop("table", DEFAULT_TABLE)
        self._address = urlunsplit(parts._replace(query=urlencode(query)))
        self._where = f"table {self._name} of {parts.hostname or 'this machine'}{parts.path}"
        self._connection: Any = None
        self._key = ""

    def __enter__(self) -> PostgresTable:
        """Connect, and keep every other run away from this table until this one ends.

        Raises:
            InputError: the server refuses, or another run is writing the table.
        """
        with self._translated():
            self._connection = self._psycopg.connect(self._address)
        *schema, plain = self._name.split(".")
        with self._transaction() as cursor:
            cursor.execute(
                "SELECT pg_try_advisory_lock("
                "hashtextextended(coalesce(%s, current_schema()) || '.' || %s, 0))",
                (schema[0] if schema else None, plain),
            )
            (ours,) = cursor.fetchone()
        if not ours:
            self._connection.close()
            raise InputError(
                f"PostgreSQL, {self._where}: another run is writing it: wait for that one, or name another "
                "table with ?table=NAME."
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        """Finished chunks stay for the next run."""
        self._connection.close()

    @property
    def output(self) -> str:
        """The table and where it is, without the password."""
        return self._where

    def begin(self, plan: Plan) -> tuple[Plan, frozenset[int]]:
        """Start, or go on where a run of the same plan was stopped.

        Raises:
            InputError: the server refuses, or a table of that name holds something else.
        """
        self._key = plan.key
        with self._transaction() as cursor:
            self._refuse_foreign(cursor)
            earlier = self._earlier(cursor)
            if earlier is not None and earlier[0].key == plan.key:
                return earlier
            cursor.execute(self._of("DROP TABLE IF EXISTS {new}, {progress}"))
            cursor.execute(
                self._of(
                    'CREATE TABLE {new} ("user" text NOT NULL, rank integer NOT NULL, item text NOT NULL, '
                    "score real NOT NULL, source text NOT NULL)"
                )
            )
            cursor.execute(
                self._of("CREATE TABLE {progress} (chunk integer PRIMARY KEY, key text, now bigint)")
            )
            cursor.execute(self._of("INSERT INTO {progress} VALUES (-1, %s, %s)"), (plan.key, plan.now_ms))
        return plan, frozenset()

    def write(self, chunk: int, table: pa.Table) -> None:
        """Copy one chunk's rows and note it, in one transaction."""
        text = io.BytesIO()
        pacsv.write_csv(table.cast(SCHEMA), text, pacsv.WriteOptions(include_header=False))
        with self._transaction() as cursor:
            self._finished(cursor)
            with cursor.copy(self._of("COPY {new} FROM STDIN (FORMAT csv)")) as copy:
                copy.write(text.getbuffer())
            cursor.execute(self._of("INSERT INTO {progress} VALUES (%s, NULL, NULL)"), (chunk,))

    def finish(self, chunks: int) -> None:
        """Index the new table and let it take the old one's place, in one transaction.

        Raises:
            InputError: chunks are missing or are another run's.
        """
        with self._transaction() as cursor:
            if self._finished(cursor) != frozenset(range(chunks)):
                raise self._altered()
            cursor.execute(self._of('ALTER TABLE {new} ADD PRIMARY KEY ("user", rank)'))
            cursor.execute(self._of("DROP TABLE IF EXISTS {table}"))
            cursor.execute(self._of("ALTER TABLE {new} RENAME TO {plain}"))
            cursor.execute(self._of("DROP TABLE {progress}"))

    def _of(self, statement: str) -> Any:
        """A statement with the names of the tables filled in, quoted."""
        *schema, plain = self._name.split(".")
        identifier = self._sql.Identifier
        return self._sql.SQL(statement).format(
            table=identifier(*schema, plain),
            new=identifier(*schema, f"{plain}_new"),
            progress=identifier(*schema, f"{plain}_progress"),
            plain=identifier(plain),
        )

    def _columns(self, cursor: Any, suffix: str) -> tuple[str, ...] | None:
        """The columns of a table, or None where there is no such table."""
        *schema, plain = self._name.split(".")
        name = self._sql.Identifier(*schema, plain + suffix).as_string(self._connection)
        cursor.execute("SELECT to_regclass(%s)::oid", (name,))
        (found,) = cursor.fetchone()
        if found is None:
            return None
        cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped "
            "ORDER BY attnum",
            (found,),
        )
        return tuple(row[0] for row in cursor.fetchall())

    def _refuse_foreign(self, cursor: Any) -> None:
        for suffix, ours in (("", _COLUMNS), ("_new", _COLUMNS), ("_progress", ("chunk", "key", "now"))):
            found = self._columns(cursor, suffix)
            if found is not None and found != ours:
                raise InputError(
                    f"PostgreSQL has a table {self._name}{suffix} with the columns {', '.join(found)}, which "
                    "matinee did not write: name another one with ?table=NAME."
                )

    def _earlier(self, cursor: Any) -> tuple[Plan, frozenset[int]] | None:
        """The plan of an interrupted run and the chunks it finished."""
        if self._columns(cursor, "_progress") is None or self._columns(cursor, "_new") is None:
            return None
        cursor.execute(self._of("SELECT chunk, key, now FROM {progress} ORDER BY chunk"))
        rows = cursor.fetchall()
        if not rows or rows[0][0] != -1:
            return None
        return Plan(key=rows[0][1], now_ms=rows[0][2]), frozenset(row[0] for row in rows[1:])

    def _finished(self, cursor: Any) -> frozenset[int]:
        """The chunks that this run and earlier ones of its plan finished.

        Raises:
            InputError: the table that takes the rows is another run's by now.
        """
        earlier = self._earlier(cursor)
        if earlier is None or earlier[0].key != self._key:
            raise self._altered()
        return earlier[1]

    def _altered(self) -> InputError:
        return InputError(
            f"PostgreSQL, {self._where}: its unfinished part ({self._name}_new) was changed by something "
            "else: run again."
        )

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        with self._translated(), self._connection.transaction(), self._connection.cursor() as cursor:
            yield cursor

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """The server's refusals as one sentence."""
        try:
            yield
        except self._psycopg.Error as error:
            words = str(error).strip().splitlines() or [type(error).__name__]
            raise InputError(f"PostgreSQL, {self._where}: {words[0]}.") from error
