"""Fits side by side: as many at once as there is room for, all of them stopped together."""

from concurrent.futures import Future
from pathlib import Path

import pytest
from tests.recipes.two_ways import two_ways

from matinee.core.errors import Stopped
from matinee.core.promise import Needs
from matinee.core.run import Run, Step
from matinee.data.homes import homes_of
from matinee.data.split import split_log
from matinee.recipes import side_by_side
from matinee.recipes.handover import open_handover, write_handover
from matinee.recipes.isolate import Job, _threads
from matinee.recipes.side_by_side import Task, run_side_by_side

GIB = 2**30


def task(gib=0.0, cpu_s=1.0, folder=Path("nowhere"), **job):
    what = Job(name="popularity", tries=[{}], **{"judge": (), **job})
    return Task(name="a fit", folder=folder, job=what, needs=Needs(memory_bytes=int(gib * GIB), cpu_s=cpu_s))


def hall(*tasks):
    return side_by_side._Hall(tasks=tasks, waiting=list(range(len(tasks))))


@pytest.mark.parametrize(
    ("gibs", "most", "room", "begun"),
    [
        ([1, 1, 1], 2, None, [0, 1]),
        ([1, 1, 1], 3, 4 * GIB, [0, 1, 2]),
        ([3, 3, 1], 3, 5 * GIB, [0, 2]),
        ([9, 1], 2, 2 * GIB, [0]),
    ],
)
def test_what_begins_fits_into_memory_and_one_always_does(gibs, most, room, begun):
    made = hall(*(task(gib) for gib in gibs))
    assert side_by_side._next(made, most, room) == begun
    assert made.waiting == [number for number in range(len(gibs)) if number not in begun]


def test_what_runs_takes_its_room_until_it_is_done():
    made = hall(task(3), task(3))
    (first,) = side_by_side._next(made, 2, 4 * GIB)
    made.running[Future()] = first
    assert side_by_side._next(made, 2, 4 * GIB) == []
    made.running.clear()
    assert side_by_side._next(made, 2, 4 * GIB) == [1]


def test_how_far_it_is_counts_every_fit_by_its_cost():
    made = hall(task(cpu_s=9), task(cpu_s=29))
    assert made.share() == 0
    made.steps[1] = Step(share=0.5, doing="pass 1 of 2")
    assert made.share() == pytest.approx(15 / 40)
    made.steps[0] = Step(share=1.0, doing="done")
    assert made.share() == pytest.approx(25 / 40)


def test_threads_are_shared_and_never_more_than_were_allowed(monkeypatch):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert set(_threads(3).values()) == {"3"}
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert _threads(3)["OMP_NUM_THREADS"] == "1"


@pytest.fixture(scope="module")
def handover(tmp_path_factory):
    folder = tmp_path_factory.mktemp("handover")
    log = two_ways(viewers=30)
    homes = homes_of(log.viewer_table, "region")
    write_handover(folder, split_log(log, "leave-one-out"), both=False, whole=True, homes=homes.codes)
    return folder


def test_a_handover_knows_each_home_alone(handover):
    opened = open_handover(handover)
    west = opened.log("train@2")
    assert (opened.log("train").n_viewers, west.n_viewers) == (80, 80)
    assert west.histories.lengths[:30].sum() == 0
    assert west.histories.lengths[30:60].sum() == len(west) == 30 * 8
    assert len(opened.log("everything@2")) == 300
    assert set(opened.queries("test@2").viewers) == set(range(30, 60))
    assert len(opened.queries("validation@0")) == 30


def test_several_fits_are_done_and_one_that_fails_says_so(handover, tmp_path):
    tasks = [
        task(folder=tmp_path / "a", fit_on="train@0", judge=("validation@0",)),
        task(folder=tmp_path / "b", fit_on="train@2", judge=("validation@9",)),
        task(folder=tmp_path / "c", fit_on="nothing"),
    ]
    told = []
    found = run_side_by_side(handover, tasks, Run(), lambda doing, share: told.append((doing, share)))
    assert [bool(one.error) for one in found] == [False, False, True]
    assert found[0].found["validation@0"].counts.sum() == 30
    assert found[1].found["validation@9"].counts.sum() == 0
    assert told[-1] == ("3 of 3 fits", pytest.approx(1.0))
    assert run_side_by_side(handover, [], Run()) == []


def test_all_are_stopped_together(handover, tmp_path):
    tasks = [task(folder=tmp_path / str(number), fit_on="train") for number in range(3)]
    with pytest.raises(Stopped):
        run_side_by_side(handover, tasks, Run(should_stop=lambda: True))
