"""The nightly table in a real PostgreSQL server, started here on a free port; skipped where there is none."""

import builtins

import numpy as np
import pyarrow as pa
import pytest

from matinee.core.errors import InputError, MissingExtra
from matinee.recipes.nightly import SCHEMA, Plan
from matinee.recipes.recommend import check_output, sink_of

PLAN = Plan(key="one", now_ms=5)


@pytest.fixture(scope="module")
def server():
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'matinee[postgres]'")
    from matinee.testing.postgres_server import postgres_server

    try:
        with postgres_server() as running:
            yield running.address
    except InputError as error:
        pytest.skip(str(error))


def chunk(*users):
    return pa.table(
        {
            "user": [user for user in users for _ in range(2)],
            "rank": np.tile(np.array([1, 2], dtype=np.int32), len(users)),
            "item": ["a/b", 'c "d", \\N'] * len(users),
            "score": np.full(2 * len(users), 0.25, dtype=np.float32),
            "source": ["ease"] * 2 * len(users),
        },
        schema=SCHEMA,
    )


def rows(address, table="recommendations"):
    import psycopg

    with psycopg.connect(address) as connection:
        ordered = f'SELECT * FROM {table} ORDER BY "user" COLLATE "C", rank'  # noqa: S608 (names of this file)
        return connection.execute(ordered).fetchall()


def tables(address):
    import psycopg

    with psycopg.connect(address) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {name for (name,) in found}


def write_all(address, chunks, plan=PLAN):
    with sink_of(address) as sink:
        _, done = sink.begin(plan)
        for number, table in enumerate(chunks):
            if number not in done:
                sink.write(number, table)
        sink.finish(len(chunks))
    return done


def test_awkward_ids_arrive_whole(server):
    users = ["ü 4", "tab\there", "new\nline", "\\.", "back\\slash", "o'hara; DROP TABLE x"]
    write_all(f"{server}?table=awkward", [chunk(*users)])
    found = rows(server, "awkward")
    assert [row[0] for row in found[::2]] == sorted(users, key=lambda one: one.encode())
    assert found[1][1:] == (2, 'c "d", \\N', 0.25, "ease")


def test_the_table_is_replaced_as_a_whole(server):
    write_all(server, [chunk("a"), chunk("b")])
    with sink_of(server) as sink:
        sink.begin(Plan(key="two", now_ms=6))
        sink.write(0, chunk("c"))
        assert [row[0] for row in rows(server)] == ["a", "a", "b", "b"]
        sink.finish(1)
    assert [row[0] for row in rows(server)] == ["c", "c"]
    assert "recommendations_new" not in tables(server)
    assert "recommendations_progress" not in tables(server)


def test_a_killed_run_goes_on(server):
    address = f"{server}?table=resumed"
    with sink_of(address) as sink:
        sink.begin(Plan(key="one", now_ms=1))
        sink.write(0, chunk("a"))
    with sink_of(address) as sink:
        plan, done = sink.begin(Plan(key="one", now_ms=2))
    assert (plan.now_ms, done) == (1, {0})
    assert write_all(address, [chunk("never"), chunk("b")]) == {0}
    assert [row[0] for row in rows(server, "resumed")] == ["a", "a", "b", "b"]
    with sink_of(address) as sink:
        sink.begin(Plan(key="one", now_ms=1))
        sink.write(0, chunk("x"))
    assert write_all(address, [chunk("y")], Plan(key="other", now_ms=1)) == frozenset()
    assert [row[0] for row in rows(server, "resumed")] == ["y", "y"]


@pytest.mark.parametrize("name", ["contested", "public.contested"])
def test_a_second_run_is_kept_away(server, name):
    with sink_of(f"{server}?table=contested") as first:
        first.begin(PLAN)
        first.write(0, chunk("a"))
        with pytest.raises(InputError, match="another run is writing it"), sink_of(f"{server}?table={name}"):
            pass
        first.finish(1)
    assert [row[0] for row in rows(server, "contested")] == ["a", "a"]


def test_chunks_that_are_not_this_runs_are_no_table(server):
    import psycopg

    address = f"{server}?table=altered"
    with sink_of(address) as sink:
        sink.begin(PLAN)
        sink.write(0, chunk("a"))
        sink.write(2, chunk("c"))
        with pytest.raises(InputError, match="changed by something else"):
            sink.finish(3)
        with psycopg.connect(server) as connection:
            connection.execute("UPDATE altered_progress SET key = 'another' WHERE chunk = -1")
        with pytest.raises(InputError, match="changed by something else"):
            sink.write(1, chunk("b"))
    assert "altered" not in tables(server)


def test_a_schema_can_be_named(server):
    import psycopg

    with psycopg.connect(server) as connection:
        connection.execute("CREATE SCHEMA shop")
    for user in ("a", "b"):
        write_all(f"{server}?table=shop.recs", [chunk(user)], Plan(key=user, now_ms=0))
    assert rows(server, "shop.recs")[0][0] == "b"


def test_somebody_elses_table_is_left_alone(server):
    import psycopg

    with psycopg.connect(server) as connection:
        connection.execute("CREATE TABLE customers (name text)")
        connection.execute("INSERT INTO customers VALUES ('mine')")
    with sink_of(f"{server}?table=customers") as sink, pytest.raises(InputError, match="did not write"):
        sink.begin(PLAN)
    assert rows_of_customers(server) == [("mine",)]


def rows_of_customers(address):
    import psycopg

    with psycopg.connect(address) as connection:
        return connection.execute("SELECT * FROM customers").fetchall()


def test_refusals_are_one_sentence_without_the_password(server):
    wrong = server.rsplit("/", 1)[0] + "/nowhere"
    with pytest.raises(InputError) as caught, sink_of(wrong):
        pass
    assert "nowhere" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_psycopg_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def no_psycopg(name, *rest, **more):
        if name.startswith("psycopg"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", no_psycopg)
    with pytest.raises(MissingExtra, match=r"pip install 'matinee\[postgres\]'"):
        check_output("postgresql://localhost/db")
