"""The store in a real PostgreSQL server, started here on a free port; skipped where there is none."""

import asyncio
import itertools

import httpx
import pytest
from tests.serve.asked_world import NOW, serve

from matinee.core.errors import InputError
from matinee.serve.app import make_app
from matinee.serve.health import Health
from matinee.serve.keys import Keys
from matinee.serve.open_store import open_store
from matinee.serve.refusals import StoreError
from matinee.testing.store_stories import watched
from matinee.testing.stores import StoreTests

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def server():
    pytest.importorskip("psycopg_pool", reason="psycopg is not installed: pip install 'matinee[postgres]'")
    from matinee.testing.postgres_server import postgres_server

    try:
        with postgres_server() as running:
            yield running
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture
def url(server):
    """A schema of the test's own."""
    return f"{server.address}?schema=store%20{next(NUMBERS)}"


class TestPostgres(StoreTests):
    @pytest.fixture
    def url(self, url):
        return url


def tell(url, story):
    async def whole():
        store = await open_store(url)
        try:
            return await story(store)
        finally:
            await store.close()

    return asyncio.run(whole())


async def failure_of(work):
    """What some work fails with, or None."""
    return (await asyncio.gather(work, return_exceptions=True))[0]


def refused(url):
    with pytest.raises(InputError) as error:
        asyncio.run(open_store(url))
    words = str(error.value)
    assert "\n" not in words
    assert "secret" not in words
    return words


def execute(server, *statements):
    import psycopg

    with psycopg.connect(server.address, autocommit=True) as connection:
        return [connection.execute(statement) for statement in statements]


def test_a_server_that_does_not_answer_is_one_sentence(server):
    assert "refused" in refused("postgresql://u:secret@127.0.0.1:1/db")
    assert "cannot be read" in refused("postgresql://u:secret@[host/db")
    assert "port" in refused("postgresql://u:secret@127.0.0.1:port/db")
    assert 'database "none" does not exist' in refused(server.address.replace("/postgres", "/none"))


def test_another_program_s_schema_is_left_alone(server):
    execute(server, "CREATE SCHEMA theirs", "CREATE TABLE theirs.event (a text)")
    assert "tables of another program (event)" in refused(f"{server.address}?schema=theirs")


def test_a_newer_format_is_left_alone(server, url):
    tell(url, lambda store: store.add([watched("u", "i")]))
    name = url.split("=")[1].replace("%20", " ")
    execute(server, f'UPDATE "{name}".format SET version = 2')  # noqa: S608 (made above)
    assert "newer matinee (format 2, this one writes 1)" in refused(url)


def test_what_is_popular_of_late_is_read_from_an_index_that_older_stores_get_when_opened(server, url):
    from matinee.serve.changes import USER
    from matinee.serve.postgres_store import popular_query

    name = url.split("=")[1].replace("%20", " ")
    late = 5_000

    async def fill(store):
        await store.add([watched(f"u{n % 50}", f"i{n % 90}", n) for n in range(late)])
        await store.merge("u1", "u2")

    tell(url, fill)
    execute(server, f'DROP INDEX "{name}".event_recent')
    tell(url, lambda store: store.history("u", 9))
    condition = f"withdrawn = 0 AND time_ms >= {late - 50} AND kind = 'view'"
    for merged in (False, True):
        query = popular_query(condition, merged=merged).replace("LIMIT ?", "LIMIT 9")
        assert USER in query
        path = f'SET search_path TO "{name}"'
        *_, plan = execute(server, path, "VACUUM ANALYZE event", f"EXPLAIN {query}")
        words = "\n".join(row[0] for row in plan.fetchall())
        assert "Index Only Scan using event_recent" in words, words


def test_two_stores_of_one_database_do_not_see_each_other(server, url):
    tell(url, lambda store: store.add([watched("u", "i")]))
    assert tell(f"{server.address}?schema=another", lambda store: store.history("u", 9)) == []


def test_many_who_open_a_new_store_at_once_make_one(url):
    async def story():
        stores = await asyncio.gather(*(open_store(url) for _ in range(5)))
        secrets = {await store.note("secret") for store in stores}
        await asyncio.gather(*(store.close() for store in stores))
        return secrets

    assert len(asyncio.run(story())) == 1


def test_a_restart_of_the_server_is_survived(server, url):
    async def story(store):
        await asyncio.gather(*(store.add([watched("u", f"{n}", n)]) for n in range(20)))
        # Several connections of the pool are open, all of which will be lost ones.
        await asyncio.gather(*(store.history("u", 99) for _ in range(20)))
        await asyncio.to_thread(server.stop)
        with pytest.raises(StoreError):
            await store.add([watched("u", "while it is away")])
        await asyncio.to_thread(server.start)
        assert await store.add([watched("u", "20", 20)]) == 1
        found = await asyncio.gather(*(store.history("u", 99) for _ in range(20)))
        assert all([seen.item for seen in one] == [f"{n}" for n in range(21)] for one in found)

    tell(url, story)


def test_connections_that_the_server_cuts_are_replaced(server, url):
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"

    async def story(store):
        for n in range(5):
            assert await store.add([watched("u", f"{n}", n)]) == 1
            await asyncio.gather(*(store.history("u", 99) for _ in range(8)))
            await asyncio.to_thread(execute, server, cut)
            assert len(await store.history("u", 99)) == n + 1

    tell(url, story)


def test_a_server_that_is_away_is_an_error_and_not_a_wait(server, url):
    async def story(store):
        await store.add([watched("u", "i")])
        await asyncio.to_thread(server.stop)
        try:
            loop = asyncio.get_running_loop()
            began = loop.time()
            calls = store.history("u", 9), store.add([watched("u", "j")]), store.note("secret")
            found = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(one, StoreError) and one.status == 503 for one in found), found
            assert all("secret@" not in str(one) for one in found)
            assert loop.time() - began < 20
        finally:
            await asyncio.to_thread(server.start)
        end = loop.time() + 20
        while loop.time() < end:
            try:
                assert [seen.item for seen in await store.history("u", 9)] == ["i"]
                break
            except StoreError:
                await asyncio.sleep(0.2)
        assert await store.add([watched("u", "j")]) == 1

    tell(url, story)


def test_a_database_that_may_not_be_written_refuses_and_reads_on(server, url):
    async def story(store):
        await store.add([watched("u", "i")])
        read_only = "ALTER SYSTEM SET default_transaction_read_only = {}"
        execute(server, read_only.format("on"), "SELECT pg_reload_conf()")
        try:
            # Connections learn of it in their own time.
            async with asyncio.timeout(20):
                while not isinstance(await failure_of(store.add([watched("somebody", "i")])), StoreError):
                    await asyncio.sleep(0.01)
            found = await asyncio.gather(
                *(store.add([watched("u", f"{n}")]) for n in range(3)), return_exceptions=True
            )
            assert all(isinstance(one, StoreError) for one in found), found
            assert len(await store.history("u", 9)) == 1
        finally:
            execute(server, "SET default_transaction_read_only = off", read_only.format("off"))
            execute(server, "SELECT pg_reload_conf()")
        async with asyncio.timeout(20):
            while isinstance(await failure_of(store.add([watched("u", "j")])), StoreError):
                await asyncio.sleep(0.01)
        assert [seen.item for seen in await store.history("u", 9)] == ["i", "j"]

    tell(url, story)


def test_nobody_without_a_key_is_told_where_the_database_is(server, url):
    """Nor with one: what the sentence leaves out is in the log."""
    asks = (
        ("GET", "/readyz"),
        ("GET", "/api/health/live"),
        ("GET", "/api/health/ready"),
        ("POST", "/v1/recommend"),
        ("GET", "/api/recommend/u"),
        ("POST", "/recommendations"),
        ("GET", "/"),
        ("GET", "/challenge/round?id=x"),
    )

    async def story(store):
        service = await serve(store=store)
        keys, health = Keys(store, lambda: NOW), Health()
        await keys.make("one")
        app = make_app(service, keys=keys, ready=lambda: health.why_not_ready(service))
        await asyncio.to_thread(server.stop)
        try:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                header = {"x-api-key": "mat_"}
                sent = [client.request(method, path, headers=header) for method, path in asks]
                for (_, path), found in zip(asks, await asyncio.gather(*sent), strict=True):
                    assert found.status_code in (200, 401, 403, 503), path
                    for word in ("postgres", "127.0.0.1", "localhost", "socket", "schema", "/tmp"):  # noqa: S108
                        assert word not in found.text.lower(), path
                    if path in ("/readyz", "/api/health/live"):
                        assert "store does not answer" in found.text
            with pytest.raises(StoreError, match="PostgreSQL"):
                await store.note("anything")
        finally:
            await asyncio.to_thread(server.start)

    tell(url, story)
