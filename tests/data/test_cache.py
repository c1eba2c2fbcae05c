"""The cache: used when it is right, never when it is not."""

import os
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest

from matinee.core.errors import DataError
from matinee.data.cache import FOLDER, cache_folder
from matinee.data.options import LogOptions
from matinee.data.read import read_log


@pytest.fixture
def log_file(tmp_path, monkeypatch):
    """A log of more than a megabyte."""
    monkeypatch.delenv("MATINEE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    folder = tmp_path / "logs"
    folder.mkdir()
    path = folder / "log.csv"
    n = 40_000
    rows = (
        f"viewer-{k * 7919 % 501},film-{k % 613},{978300760 + k},{'view' if k % 3 else 'no'}\n"
        for k in range(n)
    )
    path.write_text("user,item,timestamp,event\n" + "".join(rows))
    assert path.stat().st_size > 1_000_000
    return path


def same(a, b):
    for name in ("items", "offsets", "times", "kinds", "values", "weights", "targets"):
        one, other = getattr(a.histories, name), getattr(b.histories, name)
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
    assert a.viewers.arrow.equals(b.viewers.arrow)
    assert a.items.arrow.equals(b.items.arrow)
    assert (a.kinds, a.order, a.fingerprint, a.notes) == (b.kinds, b.order, b.fingerprint, b.notes)
    assert replace(a.report, cached=False) == replace(b.report, cached=False)
    assert (a.negatives is None) == (b.negatives is None)
    if a.negatives is not None:
        np.testing.assert_array_equal(a.negatives.values, b.negatives.values)
        np.testing.assert_array_equal(a.negatives.offsets, b.negatives.offsets)
        np.testing.assert_array_equal(a.negative_times, b.negative_times)


@pytest.mark.parametrize("options", [LogOptions(), LogOptions(negative=("no",), weight={"view": 0.5})])
def test_the_second_reading_is_the_first(log_file, options):
    plain = read_log(log_file, options, cache=False)
    first = read_log(log_file, options)
    second = read_log(log_file, options)
    assert not first.report.cached
    assert second.report.cached
    same(plain, first)
    same(first, second)
    assert not second.histories.items.flags.writeable
    assert (log_file.parent / FOLDER).is_dir()


def test_a_changed_log_finds_no_old_index(log_file):
    before = read_log(log_file)
    stamp = log_file.stat()
    content = log_file.read_bytes()
    log_file.write_bytes(content[:-40] + content[-40:].replace(b"film-", b"flim-"))
    os.utime(log_file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    after = read_log(log_file)
    assert not after.report.cached
    assert after.fingerprint != before.fingerprint


def test_other_options_find_no_old_index(log_file):
    read_log(log_file)
    other = read_log(log_file, LogOptions(negative=("no",)))
    assert not other.report.cached
    assert other.negatives is not None


def test_a_renamed_log_finds_its_index(log_file):
    first = read_log(log_file)
    second = read_log(log_file.rename(log_file.with_name("other")))
    assert second.report.cached
    assert second.report.files[0].file.endswith("other")
    assert second.fingerprint == first.fingerprint


def test_rows_left_out_once_are_an_error_again(log_file):
    with log_file.open("a") as file:
        file.write("x,y,never,view\n")
    assert read_log(log_file, LogOptions(skip_bad=True)).report.bad_rows == 1
    with pytest.raises(DataError):
        read_log(log_file)
    again = read_log(log_file, LogOptions(skip_bad=True))
    assert again.report.cached
    assert again.report.bad_rows == 1


def _cut(entry):
    with (entry / "times.npy").open("r+b") as file:
        file.truncate(1000)


def _flip(entry):
    with (entry / "items.npy").open("r+b") as file:
        file.seek(5000)
        byte = file.read(1)
        file.seek(5000)
        file.write(bytes([byte[0] ^ 255]))


@pytest.mark.parametrize(
    "harm",
    [
        _cut,
        _flip,
        lambda entry: (entry / "offsets.npy").unlink(),
        lambda entry: (entry / "index.json").write_text("{"),
        lambda entry: (entry / "index.json").write_text("[]"),
        lambda entry: (entry / "index.json").unlink(),
        lambda entry: (entry / "viewers.arrow").write_bytes(b"no"),
    ],
)
def test_a_damaged_entry_is_built_again(log_file, harm):
    first = read_log(log_file)
    entry = next((log_file.parent / FOLDER).iterdir())
    kept = entry.with_name("copy")
    shutil.copytree(entry, kept)  # the first log's maps stay whole
    first = read_log(log_file, cache=False)
    harm(entry)
    second = read_log(log_file)
    assert not second.report.cached
    assert "damaged" in second.notes[0]
    same(first, replace(second, notes=second.notes[1:]))
    assert read_log(log_file).report.cached


def test_a_small_log_is_not_cached(tmp_path, monkeypatch):
    monkeypatch.setenv("MATINEE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "log"
    path.write_text("a,b\n")
    read_log(path)
    assert not (tmp_path / "cache").exists()


def test_a_folder_that_may_not_be_written_is_left_alone(log_file, tmp_path):
    log_file.parent.chmod(0o555)
    try:
        assert cache_folder(log_file) == tmp_path / "home" / "matinee"
        read_log(log_file)
        assert read_log(log_file).report.cached
        assert not (log_file.parent / FOLDER).exists()
    finally:
        log_file.parent.chmod(0o755)


def test_where_the_variable_says(log_file, tmp_path, monkeypatch):
    monkeypatch.setenv("MATINEE_CACHE", str(tmp_path / "here"))
    read_log(log_file)
    assert len(list((tmp_path / "here").iterdir())) == 1
    assert not (log_file.parent / FOLDER).exists()


def test_without_any_folder_the_log_is_read_all_the_same(log_file, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MATINEE_CACHE", str(tmp_path / "file" / "below"))
    assert len(read_log(log_file)) == 40_000


def test_a_full_disk_is_no_error(log_file, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    log = read_log(log_file)
    assert len(log) == 40_000
    assert list((log_file.parent / FOLDER).iterdir()) == []


def test_what_lies_ahead_is_counted_anew(log_file, monkeypatch):
    assert read_log(log_file).report.future == 0
    monkeypatch.setattr(time, "time", lambda: 978300760 + 20_000 - 86_400)
    log = read_log(log_file)
    assert log.report.cached
    assert log.report.future == 19_999


def test_old_entries_go(log_file, monkeypatch):
    monkeypatch.setattr("matinee.data.cache._KEPT", 2)
    for gap in ("1min", "2min", "3min"):
        read_log(log_file, LogOptions(session_gap=gap))
    assert len(list((log_file.parent / FOLDER).iterdir())) == 2
