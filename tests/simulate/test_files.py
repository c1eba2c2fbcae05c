"""The files: the same bytes for the same seed, the counts as asked, and the same log as in memory."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from matinee.core.errors import InputError, TooLarge
from matinee.data.options import LogOptions
from matinee.data.read import read_log
from matinee.simulate import SimulationOptions, simulate, simulate_log

OPTIONS = SimulationOptions(viewers=300, items=80, events=4_000, predictability=0.5, seed=11)
NAMES = ("log.parquet", "items.parquet", "viewers.parquet", "friends.parquet", "truth.json")


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in NAMES}


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    simulate(OPTIONS, tmp_path / "a")
    simulate(OPTIONS, tmp_path / "b")
    other = SimulationOptions(**{**OPTIONS.to_json(), "seed": 12})
    simulate(other, tmp_path / "c")
    a, b, c = (bytes_of(tmp_path / name) for name in "abc")
    assert a == b
    assert all(a[name] != c[name] for name in NAMES)


def test_the_files_hold_the_log_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Three blocks, so that their borders are crossed.
    monkeypatch.setattr("matinee.simulate.options.BLOCK_CELLS", 100 * OPTIONS.items)
    truth = simulate(OPTIONS, tmp_path)
    log = simulate_log(OPTIONS)
    table = pq.read_table(tmp_path / "log.parquet")
    assert table.num_rows == OPTIONS.events == len(log)
    assert table["viewer"].to_pylist() == log.viewers.ids(log.histories.rows())
    assert table["item"].to_pylist() == log.items.ids(log.histories.items)
    assert np.array_equal(table["time"].to_numpy(), log.histories.times)
    assert pq.read_table(tmp_path / "items.parquet").equals(log.item_table)
    assert pq.read_table(tmp_path / "viewers.parquet").equals(log.viewer_table)
    friends = pq.read_table(tmp_path / "friends.parquet")
    assert log.friends is not None
    assert friends["friend"].to_pylist() == log.viewers.ids(log.friends.values)
    counts = np.diff(log.friends.offsets)
    assert friends["viewer"].to_pylist() == log.viewers.ids(np.repeat(np.arange(OPTIONS.viewers), counts))
    assert json.loads((tmp_path / "truth.json").read_text()) == truth


def test_a_full_disk_leaves_the_files_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(OPTIONS, tmp_path)
    before = bytes_of(tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "Error writing bytes to file")

    monkeypatch.setattr("matinee.simulate.files.friend_table", full)
    with pytest.raises(TooLarge, match=rf"^{tmp_path}: No space left on device\. Nothing was kept"):
        simulate(SimulationOptions(**{**OPTIONS.to_json(), "seed": 12}), tmp_path)
    assert bytes_of(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NAMES)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="File exists"):
        simulate(OPTIONS, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_the_reader_understands_the_files(tmp_path: Path) -> None:
    simulate(OPTIONS, tmp_path)
    beside = {name: str(tmp_path / f"{name}.parquet") for name in ("items", "viewers", "friends")}
    log = read_log(str(tmp_path / "log.parquet"), LogOptions(**beside))
    made = simulate_log(OPTIONS)
    assert (len(log), log.n_viewers, log.n_items) == (4_000, 300, 80)
    assert log.order == "time"
    assert log.items.ids(log.histories.items) == made.items.ids(made.histories.items)
    assert log.friends is not None
    assert made.friends is not None
    assert len(log.friends.values) == len(made.friends.values)
    assert set(log.item_table["title"].to_pylist()) == set(made.item_table["title"].to_pylist())
