"""The store in a SQLite file: the promise, and what is SQLite's own."""

import asyncio
import itertools
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from matinee.core.errors import InputError, MissingExtra
from matinee.serve.open_store import check_store, open_store
from matinee.serve.records import Event, Impression, Seen, ViewerRecord
from matinee.serve.refusals import Busy, StoreError, StoreFull
from matinee.serve.sqlite_store import open_sqlite
from matinee.testing.store_stories import watched
from matinee.testing.stores import StoreTests


class TestSqlite(StoreTests):
    @pytest.fixture
    def url(self, tmp_path):
        return f"sqlite:///{tmp_path}/store.db"


def tell(path, story, **options):
    async def whole():
        store = open_sqlite(path, **options)
        try:
            return await story(store)
        finally:
            await store.close()

    return asyncio.run(whole())


async def keep(store, *items):
    for item in items:
        await store.add([watched("u", item)])


# Opening


def refused(url):
    with pytest.raises(InputError) as error:
        asyncio.run(open_store(url))
    words = str(error.value)
    assert "\n" not in words
    return words


@pytest.mark.parametrize(
    "url",
    ["", "store.db", "sqlite:", "sqlite://", "sqlite:///", "mysql://u:pa55@host/db", "/pa55", "pa55://"],
)
def test_what_is_no_store_s_name_is_one_sentence(url):
    words = refused(url)
    assert "sqlite:///" in words
    assert "/db" not in words
    assert "u:pa55" not in words


def test_a_missing_folder_is_named(tmp_path):
    assert f"there is no folder {tmp_path / 'no'}" in refused(f"sqlite:///{tmp_path}/no/store.db")


def test_a_folder_is_no_store(tmp_path):
    assert "is a folder" in refused(f"sqlite:///{tmp_path}")


def test_another_program_s_database_is_left_alone(tmp_path):
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE event (a)")
    before = path.read_bytes()
    assert "another program's database" in refused(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("what I watched\n" * 100)
    before = path.read_bytes()
    assert "not a database" in refused(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_a_newer_format_is_left_alone(tmp_path):
    path = tmp_path / "store.db"
    tell(path, lambda store: keep(store, "a"))
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 2")
    assert "newer matinee (format 2, this one writes 1)" in refused(f"sqlite:///{path}")


def test_a_read_only_file_is_named(tmp_path):
    path = tmp_path / "store.db"
    tell(path, lambda store: keep(store, "a"))
    path.chmod(stat.S_IRUSR)
    if os.access(path, os.W_OK):
        pytest.skip("this account writes whatever it likes")
    assert "cannot be written" in refused(f"sqlite:///{path}")


def test_relative_names_are_beside_where_the_program_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    async def story():
        store = await open_store("sqlite:///here.db")
        await store.close()

    asyncio.run(story())
    assert (tmp_path / "here.db").is_file()


def test_a_missing_driver_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "matinee.serve.postgres_store", raising=False)
    monkeypatch.delitem(sys.modules, "matinee.serve.postgres_journal", raising=False)
    monkeypatch.delitem(sys.modules, "matinee.serve.postgres_schema", raising=False)
    with pytest.raises(MissingExtra, match=r"pip install 'matinee\[postgres\]'"):
        asyncio.run(open_store("postgresql://u:pa55@localhost/db"))


def test_many_processes_that_open_a_new_store_at_once_make_one(tmp_path):
    program = (
        "import asyncio, sys\nfrom matinee.serve.open_store import open_store\n"
        "from matinee.serve.records import Event\n"
        "async def story():\n"
        "    store = await open_store(sys.argv[1])\n"
        "    await store.add([Event(user='u', item=sys.argv[2], kind='view', time_ms=1)])\n"
        "    print(await store.note('secret'))\n"
        "    await store.close()\n"
        "asyncio.run(story())\n"
    )
    url = f"sqlite:///{tmp_path}/store.db"
    processes = [
        subprocess.Popen([sys.executable, "-c", program, url, str(n)], stdout=subprocess.PIPE)
        for n in range(4)
    ]
    told = {process.communicate()[0] for process in processes}
    assert len(told) == 1
    assert all(process.returncode == 0 for process in processes)
    assert len(tell(tmp_path / "store.db", lambda store: store.history("u", 9))) == 4


def test_a_sound_file_is_sound_and_a_damaged_one_is_not(tmp_path):
    path = tmp_path / "store.db"
    tell(path, lambda store: store.add([watched("u", f"{n}", n) for n in range(2000)]))
    assert asyncio.run(check_store(f"sqlite:///{path}")) == []
    data = bytearray(path.read_bytes())
    data[4096 * 20 : 4096 * 40] = b"\x07" * 4096 * 20
    path.write_bytes(data)
    assert asyncio.run(check_store(f"sqlite:///{path}"))
    with pytest.raises(InputError, match="no such file"):
        asyncio.run(check_store(f"sqlite:///{tmp_path}/none.db"))


# Writing


def test_what_waits_is_bounded(tmp_path):
    async def story(store):
        calls = [store.add([watched("u", f"{n}.{k}") for k in range(10)]) for n in range(30)]
        found = await asyncio.gather(*calls, return_exceptions=True)
        kept = [one for one in found if one == 10]
        assert len(kept) >= 5
        assert all(isinstance(one, Busy) for one in found if one != 10)
        assert any(isinstance(one, Busy) for one in found)
        assert len(await store.history("u", 999)) == 10 * len(kept)
        # What waited was written: there is room again, and one call alone is never too big.
        assert await store.add([watched("v", f"{n}") for n in range(80)]) == 80

    tell(tmp_path / "store.db", story, most_waiting=50)


def test_many_calls_at_once_are_few_transactions(tmp_path):
    path = tmp_path / "store.db"

    async def story(store):
        await store.add([watched("u", "first")])
        before = Path(f"{path}-wal").stat().st_size
        await asyncio.gather(*(store.add([watched("u", f"{n}")]) for n in range(500)))
        return Path(f"{path}-wal").stat().st_size - before

    # Alone, each would write every page of five trees: 500 x 20 KB.
    assert tell(path, story) < 2 * 2**20


def test_a_bad_event_that_only_the_database_finds_fails_alone(tmp_path):
    async def story(store):
        bad = Event(user="u", item="i", kind="view", time_ms=1.5)
        calls = [store.add([watched("u", f"{n}")]) for n in range(5)]
        found = await asyncio.gather(*calls, store.add([bad]), *calls[:0], return_exceptions=True)
        assert found[:5] == [1] * 5
        assert getattr(found[5], "status", None) == 400
        assert len(await store.history("u", 99)) == 5

    tell(tmp_path / "store.db", story)


def test_a_long_query_holds_up_nobody(tmp_path):
    count = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?) SELECT max(x) FROM n"

    async def story(store):
        long = asyncio.ensure_future(store._reader.rows(count, [1_500_000], long=True))
        for n in range(5):
            await store.add([watched("u", f"{n}")])
            assert (await store.history("u", 1))[0].item == f"{n}"
            assert len(await store.events()) == n + 1
        assert not long.done()
        assert await long == [(1_500_000,)]

    tell(tmp_path / "store.db", story)


def test_the_write_ahead_log_is_copied_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr("matinee.serve.sqlite_journal._LONG_LOG", 400_000)
    path = tmp_path / "store.db"
    sizes = []

    async def story(store):
        for n in range(60):
            await store.add([watched(f"u{n}.{k}", f"i{k}") for k in range(100)])
            sizes.append(Path(f"{path}-wal").stat().st_size)

    tell(path, story)
    # Beyond the limit by one commit; it begins anew again and again, with small commits and with large ones.
    assert max(sizes) < 1_200_000
    assert sum(later < earlier for earlier, later in itertools.pairwise(sizes)) > 5


def test_histories_and_popularity_are_read_from_indexes_alone(tmp_path):
    path = tmp_path / "store.db"
    tell(path, lambda store: keep(store, "a"))
    from matinee.serve import sqlite_store

    with closing(sqlite3.connect(path)) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {sqlite_store._HISTORY}", ("u", 50)).fetchall()
        assert plan[0][3] == "SEARCH event USING COVERING INDEX event_history (user=?)"
        assert len(plan) == 1


# Forgetting


def in_files(folder, *words):
    found = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    return {(name, word) for name, data in found.items() for word in words if word.encode() in data}


def test_nothing_of_a_deleted_viewer_is_left_in_any_file(tmp_path):
    path = tmp_path / "store.db"
    words = ("viewer-ann", "cookie-of-ann", "said by ann", "region-of-ann", "rec-for-ann")

    async def story(store):
        everybody = [watched(f"viewer-{n}", f"i{n % 9}", n) for n in range(400)]
        for n in range(40):
            said = {"properties": '"said by ann"', "recommendation_id": "rec-for-ann"}
            mine = watched(words[n % 2], f"i{n % 9}", n, event_id=f"viewer-ann-{n}", **said)
            await store.add([*everybody[10 * n : 10 * n + 10], mine])
            shown = Impression(user=words[n % 2], items=("i",), time_ms=n, recommendation_id="rec-for-ann")
            await store.add([], [shown])
        await store.put_viewers([ViewerRecord(id="viewer-ann", region="region-of-ann")])
        await store.merge("cookie-of-ann", "viewer-ann")
        assert {word for _, word in in_files(tmp_path, *words)} == set(words)
        receipt = await store.forget("viewer-ann")
        assert (receipt.events, receipt.impressions, receipt.profile) == (40, 40, True)
        # While the store is open, and other processes have it open.
        assert in_files(tmp_path, *words) == set()
        assert len(await store.events(most=9999)) == 400

    tell(path, story)
    assert in_files(tmp_path, *words) == set()


def test_tombstones_do_not_tell_who_it_was(tmp_path):
    path = tmp_path / "store.db"
    tell(path, lambda store: store.forget("ann"))
    other = tmp_path / "other.db"
    tell(other, lambda store: store.forget("ann"))
    graves = []
    for one in (path, other):
        with closing(sqlite3.connect(one)) as connection:
            graves += connection.execute("SELECT hash FROM tombstone").fetchall()
    assert len({grave for (grave,) in graves}) == 2
    assert all(len(grave) == 64 for (grave,) in graves)


# A full disk


@contextmanager
def small_disk(folder, size):
    """A file system of so many bytes; skips where nobody may mount one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    if (
        shutil.which("mount") is None
        or subprocess.run(mount, capture_output=True, check=False).returncode != 0
    ):
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_refuses_writes_keeps_what_was_acknowledged_and_reads_on(tmp_path):
    with small_disk(tmp_path / "disk", 3 * 2**20) as disk:
        path = disk / "store.db"
        acknowledged = []

        async def until_full(store):
            while True:
                names = [f"{len(acknowledged)}.{n}" for n in range(20)]
                calls = [store.add([watched("u", name, properties="x" * 500)]) for name in names]
                found = await asyncio.gather(*calls, return_exceptions=True)
                acknowledged.extend(name for name, one in zip(names, found, strict=True) if one == 1)
                errors = [one for one in found if one != 1]
                if errors:
                    return errors

        async def story(store):
            for _ in range(3):
                errors = await until_full(store)
                assert all(isinstance(error, StoreFull) and error.status == 507 for error in errors), errors
                assert "disk is full" in str(errors[0])
                assert [seen.item for seen in await store.history("u", 10**6)] == acknowledged
                assert await store.popular(0, 1)
            with pytest.raises(StoreFull):
                await store.put_notes({"a": "b" * 10**7})
            assert await store.note("a") is None

        tell(path, story)
        # Opened again on the full disk, everything is there; with room again, it goes on.
        subprocess.run(["mount", "-o", f"remount,size={12 * 2**20}", str(disk)], check=True)

        async def again(store):
            assert [seen.item for seen in await store.history("u", 10**6)] == acknowledged
            assert await store.add([watched("u", "at last")]) == 1

        tell(path, again)
        assert asyncio.run(check_store(f"sqlite:///{path}")) == []


def fill(path):
    """Write until nothing more fits."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def test_room_again_while_the_store_is_open(tmp_path):
    with small_disk(tmp_path / "disk", 3 * 2**20) as disk:

        async def story(store):
            await store.add([watched("u", "before")])
            fill(disk / "ballast")
            found = await asyncio.gather(
                *(store.add([watched("u", f"{n}")]) for n in range(9)), return_exceptions=True
            )
            assert all(isinstance(one, StoreFull) for one in found)
            assert await store.history("u", 9) == [Seen("before", "view", None, 1000)]
            (disk / "ballast").unlink()
            assert await store.add([watched("u", "after")]) == 1
            assert [seen.item for seen in await store.history("u", 9)] == ["before", "after"]

        tell(disk / "store.db", story)


def test_a_file_that_may_not_grow_is_a_refusal_too(tmp_path):
    """Without any mount: a limit on the size of files, which is an I/O error instead of a full disk."""
    program = (
        "import asyncio, resource, signal, sys\nfrom matinee.serve.open_store import open_store\n"
        "from matinee.serve.records import Event\nfrom matinee.serve.refusals import StoreError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "async def story():\n"
        "    store = await open_store(sys.argv[1])\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))\n"
        "    kept = 0\n"
        "    try:\n"
        "        while True:\n"
        "            event = Event(user='u', item=str(kept), kind='view', time_ms=1, properties='x' * 900)\n"
        "            kept += await store.add([event])\n"
        "    except StoreError as error:\n"
        "        print(kept, len(await store.history('u', 10**6)), error)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))\n"
        "    await store.close()\n"
        "asyncio.run(story())\n"
    )
    url = f"sqlite:///{tmp_path}/store.db"
    done = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=True)
    kept, read, words = done.stdout.split(maxsplit=2)
    assert int(kept) == int(read) > 20
    assert "store.db: the disk" in words
    assert len(tell(tmp_path / "store.db", lambda store: store.history("u", 10**6))) == int(kept)


def test_a_file_that_is_damaged_while_it_is_open_is_a_sentence(tmp_path):
    path = tmp_path / "store.db"
    tell(path, lambda store: store.add([watched("u", f"{n}", n) for n in range(3000)]))
    data = path.read_bytes()

    async def story(store):
        # Beyond what opening looks at.
        with path.open("r+b") as file:
            file.seek(4096 * 25)
            file.write(b"\x07" * (len(data) - 4096 * 25))
        with pytest.raises(StoreError, match="damaged"):
            await store.history("u", 9)
        with pytest.raises(StoreError, match="damaged"):
            await store.add([watched("u", "i")])

    tell(path, story)


def test_whoever_reads_for_long_does_not_hold_up_writers_after_a_deletion(tmp_path):
    path = tmp_path / "store.db"

    async def story(store):
        await store.add([watched("ann", "secret-item", n) for n in range(20)])
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            assert reader.execute("SELECT count(*) FROM event").fetchone() == (20,)
            begun = time.monotonic()
            await store.forget("ann")
            for n in range(5):
                await store.add([watched("bob", "x", n)])
            assert time.monotonic() - begun < 4.0
        # As soon as nobody is in the way, nothing of it is left.
        await store.add([watched("bob", "y", 9)])
        assert in_files(tmp_path, "secret-item") == set()

    tell(path, story)
