"""The protocols on real logs give the counts that their publishers and others state."""

import os
from pathlib import Path

import numpy as np
import pytest

from matinee.data.read import read_log
from matinee.data.split import split_log

DATA = Path(os.environ.get("MATINEE_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no data in {DATA}: set MATINEE_DATA")


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MATINEE_CACHE", str(tmp_path))


def test_the_large_timed_log_has_1079_viewers_with_a_past():
    log = read_log(str(DATA / "ml-1m" / "interactions_timed.csv.gz"))
    split = split_log(log, targets="successive")
    assert split.protocol == "time-split"
    assert split.test.n_viewers == 1_079
    assert split.newcomers.n_viewers == 2
    assert split.test.n_targets + split.newcomers.n_targets == len(log) - int(split.division.both.sum())


def test_gowalla_keeps_its_own_split():
    train = read_log(str(DATA / "gowalla" / "train.csv.gz"))
    test = read_log(str(DATA / "gowalla" / "test.csv.gz"))
    split = split_log(train, test=test)
    assert (split.test.n_viewers, split.test.n_targets, split.left_out) == (29_858, 217_242, 0)
    assert len(split.train_and_validation) == 810_128
    rows = np.flatnonzero(split.test.viewers == int(train.viewers.code("0")))
    mine = train.items.ids(split.test.take(rows).targets.values)
    assert set(mine) == set(test.items.ids(test.histories.row(test.viewers.code("0"))))


def test_leave_one_out_of_the_ordered_log_asks_every_viewer_once():
    split = split_log(read_log(str(DATA / "ml-1m" / "interactions.csv.gz")))
    assert split.protocol == "leave-one-out"
    assert (len(split.test), len(split.validation), split.left_out) == (6_040, 6_040, 0)
