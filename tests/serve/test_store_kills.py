"""Writers that are killed, and write-ahead logs that are cut: no acknowledged event is lost, none is torn.

The ordinary tests sample; `python benchmarks/serve_store.py` does a hundred rounds and every byte.
"""

import asyncio
import random
import shutil

import pytest

from matinee.core.errors import InputError
from matinee.serve.open_store import check_store, open_store
from matinee.testing.cuts import cut_logs, log_to_cut
from matinee.testing.kills import Losses, Round, kill_while_adding, losses
from matinee.testing.store_stories import watched


def left(url, rounds):
    async def whole():
        store = await open_store(url)
        try:
            return await losses(store, rounds)
        finally:
            await store.close()

    return asyncio.run(whole())


def killed(url, count):
    rng = random.Random(0)
    rounds = []
    for number in range(count):
        rounds.append(kill_while_adding(url, f"{number}", rng))
        assert left(url, rounds) == Losses(0, 0)
    assert all(one.acknowledged for one in rounds)
    return rounds


@pytest.fixture
def postgres():
    pytest.importorskip("psycopg_pool", reason="psycopg is not installed: pip install 'matinee[postgres]'")
    from matinee.testing.postgres_server import postgres_server

    try:
        # Its own crash is survived only where it waits for the disk.
        with postgres_server(durable=True) as server:
            yield server
    except InputError as error:
        pytest.skip(str(error))


def test_sqlite_loses_nothing_when_its_writers_are_killed(tmp_path):
    url = f"sqlite:///{tmp_path}/store.db"
    killed(url, 5)
    assert asyncio.run(check_store(url)) == []


def test_postgres_loses_nothing_when_its_writers_and_then_itself_are_killed(postgres):
    rounds = killed(postgres.address, 5)
    postgres.kill()
    postgres.start()
    assert left(postgres.address, rounds) == Losses(0, 0)


@pytest.mark.long
def test_sqlite_through_a_hundred_kills(tmp_path):
    killed(f"sqlite:///{tmp_path}/store.db", 100)


@pytest.mark.long
def test_postgres_through_a_hundred_kills(postgres):
    killed(postgres.address, 100)


def test_losses_are_seen(tmp_path):
    url = f"sqlite:///{tmp_path}/store.db"

    async def story():
        store = await open_store(url)
        await store.add([watched("a", "0/2"), watched("a", "1/2"), watched("b", "0/2")])
        found = await losses(store, [Round({"a": 2, "b": 2, "c": 1}, 0.1)])
        await store.close()
        return found

    # No impression of any, half of b, nothing of c.
    assert asyncio.run(story()) == Losses(lost=3, torn=2)


def test_a_cut_log_opens_and_loses_only_its_end(tmp_path):
    cuts = cut_logs(log_to_cut(tmp_path), tmp_path / "cut", random.Random(0).sample(range(65536), 60))
    assert cuts.opened == 60
    assert cuts.unsound == 0
    assert cuts.kept == sorted(cuts.kept)
    assert cuts.kept[0] < cuts.kept[-1]


def test_bytes_changed_in_the_log_lose_only_its_end_too(tmp_path):
    folder = log_to_cut(tmp_path)
    log = folder / "store.db-wal"
    data = bytearray(log.read_bytes())
    data[-30_000] ^= 1
    log.write_bytes(data)
    (one,) = cut_logs(folder, tmp_path / "cut", [0]).kept
    shutil.rmtree(tmp_path / "cut")
    data[-30_000] ^= 1
    log.write_bytes(data)
    (whole,) = cut_logs(folder, tmp_path / "cut", [0]).kept
    assert 0 < one < whole
