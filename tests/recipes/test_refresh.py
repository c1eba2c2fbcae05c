from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.recipes.daily import Days, begin

from matinee.answers.model import load
from matinee.core.errors import InputError, MatineeError
from matinee.recipes.activate import activate, rollback, used_in
from matinee.recipes.refresh import RefreshOptions, refresh
from matinee.recipes.refresh_folder import dated, locked, new_name, prune
from matinee.recipes.store_log import read_store_log
from matinee.serve.bundle_shelf import BundleShelf
from matinee.serve.in_use import InUse, read_in_use, write_in_use
from matinee.serve.records import ImportedHistories
from matinee.serve.start import start_service
from matinee.serve.store import Store


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Days:
    days = begin(tmp_path_factory.mktemp("days"))
    days.hear(0.8, 0.9)
    return days


@pytest.fixture
def days(made: Days, tmp_path: Path) -> Days:
    shutil.copytree(made.folder, tmp_path / "days")
    return Days(folder=tmp_path / "days", log=made.log, first=made.first)


def test_a_run_takes_in_what_is_new_and_a_second_one_does_nothing(days: Days) -> None:
    done = refresh([days.url], days.bundles)
    assert done.state == "activated"
    assert done.facts["instead_of"] == "first"
    assert done.facts["judged"]["viewers"] >= 20
    assert done.facts["new_events"] > 1_000
    model = load(days.bundles / str(done.in_use))
    assert len(model.log) == int(0.9 * len(days.log))
    assert model.title(int(model.log.items.codes(["i001"])[0])) == _title(days, "i001")
    assert model.log.friends is not None
    again = refresh([days.url], days.bundles)
    assert again.state == "nothing new"
    assert again.in_use == done.in_use
    assert dated(days.bundles) == [done.in_use]


def test_the_updated_bundle_is_the_one_that_a_fit_on_everything_would_be(days: Days) -> None:
    from matinee.recommenders.transitions import Transitions

    done = refresh([days.url], days.bundles)
    model = load(days.bundles / str(done.in_use))
    assert "update" not in model.facts or "anew" not in model.facts["update"]
    anew = Transitions().fit(model.log)
    user = [model.log.viewers.id(0)]
    assert (
        model.recommend(user).to_pandas()["item"].tolist()
        == anew.recommend(user).to_pandas()["item"].tolist()
    )


def test_a_running_server_takes_the_new_bundle_up_by_itself(days: Days) -> None:
    async def story(store: Store) -> str:
        shelf = BundleShelf([days.bundles], store)
        await shelf.open()
        before = shelf.names()["default"]
        done = await _in_thread(lambda: refresh([days.url], days.bundles))
        await shelf.follow()
        await shelf.settled()
        assert shelf.names()["default"] == done.in_use
        assert shelf.behind("default").name == done.in_use
        await shelf.close()
        return before

    assert days.do(story) == "first"


def test_a_server_does_not_take_in_what_came_from_its_own_store(days: Days) -> None:
    before = days.count()
    refresh([days.url], days.bundles)
    days.serve()
    assert days.count() == before


def test_a_deleted_viewer_is_in_no_new_bundle(days: Days) -> None:
    gone = days.log.viewers.id(3)
    days.do(lambda store: store.forget(gone))
    done = refresh([days.url], days.bundles)
    assert done.state == "activated"
    model = load(days.bundles / str(done.in_use))
    assert gone not in model.log.viewers
    assert gone in load(days.bundles / "first").log.viewers


def test_a_viewer_deleted_in_the_store_is_left_out_of_files_too(days: Days) -> None:
    gone = days.log.viewers.id(3)
    days.do(lambda store: store.forget(gone))
    path = _csv(days, 0.9)
    done = refresh([str(path)], days.bundles, options=RefreshOptions(store=days.url))
    assert gone not in load(days.bundles / str(done.in_use)).log.viewers
    assert used_in(days.bundles, days.url) == done.in_use


def test_the_gate_refuses_what_is_worse_and_what_misses_a_gain(days: Days) -> None:
    worse = RefreshOptions(recommender="popularity")
    done = refresh([days.url], days.bundles, options=worse)
    assert done.state == "refused"
    assert done.facts["judged"]["difference"]["high"] < 0
    assert done.in_use == used_in(days.bundles, days.url) == "first"
    assert dated(days.bundles) == []
    assert refresh([days.url], days.bundles, options=RefreshOptions(gate=0.9)).state == "refused"
    forgiving = RefreshOptions(recommender="popularity", gate=-0.9)
    assert refresh([days.url], days.bundles, options=forgiving).state == "activated"


def test_without_new_events_a_run_judges_nothing_and_says_so(tmp_path: Path) -> None:
    days = begin(tmp_path)
    days.hear(0.8, 0.8005)
    done = refresh([days.url], days.bundles)
    assert done.state == "activated"
    assert done.facts["judged"] is None


def test_the_first_run_fits_what_it_is_told_and_later_ones_keep_to_it(days: Days, tmp_path: Path) -> None:
    path, bundles = _csv(days, 0.8), tmp_path / "others"
    first = refresh([str(path)], bundles, options=RefreshOptions(recommender="item_knn"))
    assert first.state == "first"
    assert read_in_use(bundles).aliases["default"] == (first.in_use,)
    _csv(days, 0.95)
    second = refresh([str(path)], bundles)
    assert second.state == "activated"
    assert load(bundles / str(second.in_use)).name == "item_knn"


def test_what_was_put_aside_is_not_brought_back(days: Days) -> None:
    done = refresh([days.url], days.bundles)
    assert rollback(days.bundles, store=days.url).bundle == "first"
    again = refresh([days.url], days.bundles)
    assert (again.state, again.in_use) == ("nothing new", "first")
    days.hear(0.9, 0.95)
    third = refresh([days.url], days.bundles)
    assert third.state == "activated"
    assert third.in_use != done.in_use


def test_what_a_broken_off_run_had_finished_is_put_in_use(days: Days) -> None:
    name = str(refresh([days.url], days.bundles).in_use)
    # As if the run had been killed after the bundle was whole, and before anybody was told.
    activate(days.bundles, "first", store=days.url)
    write_in_use(days.bundles, InUse(aliases={"default": ("first",)}))
    written = (days.bundles / name / "manifest.json").stat().st_mtime_ns
    done = refresh([days.url], days.bundles)
    assert (done.state, done.in_use) == ("finished", name)
    assert (days.bundles / name / "manifest.json").stat().st_mtime_ns == written


def test_one_run_at_a_time(days: Days) -> None:
    with locked(days.bundles), pytest.raises(MatineeError, match="is at work") as caught:
        refresh([days.url], days.bundles)
    assert caught.value.exit_status == 1
    with (days.bundles / ".refresh" / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.long
def test_killed_at_any_moment_the_bundles_stay_usable_and_the_next_run_goes_on(days: Days) -> None:
    dice, killed = random.Random(0), 0
    for _ in range(12):
        killed += _kill_after(days, dice.uniform(0.3, 4.0))
        used = used_in(days.bundles, days.url)
        assert used is not None
        load(days.bundles / used)
        days.serve()
    assert killed >= 3
    done = refresh([days.url], days.bundles)
    assert done.in_use == used_in(days.bundles, days.url) != "first"
    litter = [
        one.name for one in days.bundles.iterdir() if one.name.startswith(".") and one.name != ".refresh"
    ]
    assert litter == []


def test_a_half_written_bundle_is_cleared_away(days: Days) -> None:
    half = days.bundles / ".2026-11-22T0315Z.abc123.new"
    half.mkdir()
    (half / "weights").write_bytes(b"x")
    own = days.bundles / ".somebody-elses"
    own.mkdir()
    with locked(days.bundles) as place:
        assert not half.exists()
        (place / "events.parquet").write_bytes(b"x")
    assert own.exists()
    assert [one.name for one in (days.bundles / ".refresh").iterdir()] == ["lock"]


def test_the_last_three_stay_and_what_is_in_use(days: Days, tmp_path: Path) -> None:
    bundles = tmp_path / "many"
    for day in range(1, 7):
        shutil.copytree(days.bundles / "first", bundles / f"2026-11-0{day}T0315Z")
    shutil.copytree(days.bundles / "first", bundles / "by-hand")
    assert prune(bundles, {"2026-11-01T0315Z"}) == ["2026-11-03T0315Z", "2026-11-02T0315Z"]
    assert dated(bundles) == [f"2026-11-0{day}T0315Z" for day in (6, 5, 4, 1)]
    assert (bundles / "by-hand").is_dir()


def test_names_are_minutes_and_never_there_twice(tmp_path: Path) -> None:
    moment = 1_795_317_300_000
    assert new_name(tmp_path, moment) == "2026-11-22T0315Z"
    (tmp_path / "2026-11-22T0315Z").mkdir()
    assert new_name(tmp_path, moment) == "2026-11-22T0315Z-2"


def test_a_store_that_a_server_still_fills_is_not_read(days: Days, tmp_path: Path) -> None:
    async def broken_off(store: Store) -> None:
        kept = store.take_histories

        async def half(told: ImportedHistories) -> int:
            n = len(told.users) // 2
            some = {"users": told.users[:n], "marks": told.marks[:n], "lengths": told.lengths[:n]}
            events = sum(some["lengths"])
            columns = {
                name: getattr(told, name)[:events] for name in ("items", "kinds", "times_ms", "values")
            }
            await kept(ImportedHistories(**some, **columns, learnt_ms=told.learnt_ms))
            raise KeyboardInterrupt

        store.take_histories = half  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            await start_service([days.bundles], store)

    (days.folder / "store.db").rename(tmp_path / "other.db")
    days.do(broken_off)
    before = sorted(days.bundles.iterdir())
    with pytest.raises(InputError, match="bundle 'first' are not all in this store yet"):
        refresh([days.url], days.bundles)
    with pytest.raises(InputError, match="bundle 'first' are not all in this store yet"):
        read_store_log(days.url)
    assert [one for one in sorted(days.bundles.iterdir()) if one.name != ".refresh"] == before
    days.serve()
    days.hear(0.8, 0.9)
    assert refresh([days.url], days.bundles).state == "activated"


def test_a_server_of_another_folder_is_not_left_behind(days: Days, tmp_path: Path) -> None:
    bundles, path = tmp_path / "others", _csv(days, 0.8)
    words = "answers from the bundle 'first', which is not in .*others: put it there"
    for sources, options in (([days.url], None), ([str(path)], RefreshOptions(store=days.url))):
        with pytest.raises(InputError, match=words):
            refresh(sources, bundles, options=options)
    assert [one.name for one in bundles.iterdir()] == [".refresh"]
    (days.bundles / "first").rename(bundles / "first")
    assert refresh([days.url], bundles).facts["instead_of"] == "first"


def test_a_store_that_no_bundle_was_served_with_has_a_first_refresh(days: Days, tmp_path: Path) -> None:
    (days.folder / "store.db").rename(tmp_path / "other.db")
    days.hear(0.0, 0.8)
    options = RefreshOptions(recommender="popularity")
    assert refresh([days.url], tmp_path / "others", options=options).state == "first"


def test_unusable_calls_are_refused_in_a_sentence(days: Days, tmp_path: Path) -> None:
    for sources, words in (
        ([days.url, "log.csv"], "one store, or the files"),
        ([f"sqlite:///{tmp_path / 'none.db'}"], "no such store"),
        (["mysql://somewhere"], "mysql"),
    ):
        with pytest.raises(InputError, match=words):
            refresh(sources, days.bundles)
    with pytest.raises(InputError, match="is a bundle"):
        refresh([days.url], days.bundles / "first")
    with pytest.raises(InputError, match="gate"):
        refresh([days.url], days.bundles, options=RefreshOptions(gate=5.0))


def _kill_after(days: Days, wait_s: float) -> bool:
    process = subprocess.Popen(
        [sys.executable, "-m", "matinee", "refresh", days.url, "-o", str(days.bundles), "--quiet"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )
    time.sleep(wait_s)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def _title(days: Days, item: str) -> str:
    code = int(days.log.items.codes([item])[0])
    return str(days.log.item_table.column("title")[code].as_py())


def _csv(days: Days, share: float) -> Path:
    path = days.folder / "log.csv"
    rows = "".join(f"{one.user},{one.item},{one.time_ms}\n" for one in days.events(0.0, share))
    path.write_text(f"user,item,time\n{rows}", encoding="utf-8")
    return path


async def _in_thread(work):  # type: ignore[no-untyped-def]
    import asyncio

    return await asyncio.to_thread(work)
