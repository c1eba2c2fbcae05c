import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading

import pytest
from tests.tune.logs import begun, one_of_each, whole_study

from matinee.core.errors import InputError
from matinee.tune.events import NAME, Event, Log, decode, encode, is_active, read_events
from matinee.tune.study import fold_events, open_study
from matinee.tune.worker import RESULT, read_result


def written(folder):
    recorder = begun(folder)
    whole_study(recorder)
    recorder.close()
    return (folder / NAME).read_bytes()


def test_a_line_is_json_with_a_checksum_of_its_own():
    line = encode(3, Event(kind="leased", at=1.5, clock=2.5, trial=7, about={"limit_dollars": 0.1}))
    assert json.loads(line)["limit_dollars"] == 0.1
    assert decode(line, 3) == Event(kind="leased", at=1.5, clock=2.5, trial=7, about={"limit_dollars": 0.1})
    assert decode(line, 4) is None
    for place in range(len(line)):
        changed = bytearray(line)
        changed[place] ^= 1
        assert decode(bytes(changed), 3) is None


def test_a_log_that_is_cut_at_any_byte_opens_and_loses_only_its_end(tmp_path):
    recorder = begun(tmp_path / "whole")
    one_of_each(recorder)
    recorder.close()
    whole = (tmp_path / "whole" / NAME).read_bytes()
    events = list(read_events(tmp_path / "whole"))
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]
    cut = tmp_path / "whole"
    for length in range(len(whole), -1, -1):
        os.truncate(cut / NAME, length)
        expected = sum(end <= length for end in ends)
        assert list(read_events(cut)) == events[:expected], length
        if length in ends:
            fold_events(read_events(cut))
    assert expected == 0


def test_after_a_cut_the_log_goes_on_where_it_is_whole(tmp_path):
    whole = written(tmp_path)
    for lost in (1, 30, 200):
        (tmp_path / NAME).write_bytes(whole[:-lost])
        log = Log(tmp_path)
        kept = len(log.events)
        log.add(Event(kind="heartbeat", at=1.0, clock=99.0))
        log.close()
        events = list(read_events(tmp_path))
        assert len(events) == kept + 1
        assert events[-1].clock == 99.0


def test_garbage_at_the_end_is_dropped_and_damage_before_it_refused(tmp_path):
    whole = written(tmp_path)
    events = list(read_events(tmp_path))
    (tmp_path / NAME).write_bytes(whole + b"\0" * 50 + b"\n{half a li")
    assert list(read_events(tmp_path)) == events
    damaged = bytearray(whole)
    damaged[whole.index(b"\n", 500) + 40] ^= 1
    (tmp_path / NAME).write_bytes(bytes(damaged))
    for read in (open_study, Log):
        with pytest.raises(InputError, match=r"log.jsonl, line \d+: it is damaged, and sound lines follow"):
            read(tmp_path)


def test_a_line_that_is_missing_is_damage_too(tmp_path):
    lines = written(tmp_path).splitlines(keepends=True)
    (tmp_path / NAME).write_bytes(b"".join(lines[:4] + lines[5:]))
    with pytest.raises(InputError, match="line 5: it is damaged"):
        open_study(tmp_path)


def test_two_coordinators_never_write_and_readers_need_no_lock(tmp_path):
    log = Log(tmp_path)
    assert is_active(tmp_path)
    with pytest.raises(InputError, match="another coordinator is at work"):
        Log(tmp_path)
    assert list(read_events(tmp_path)) == []
    log.close()
    assert not is_active(tmp_path)
    Log(tmp_path).close()


def test_the_lock_of_a_process_that_died_blocks_nobody(tmp_path):
    code = f"import os, pathlib; from matinee.tune.events import Log; Log(pathlib.Path({str(tmp_path)!r}))"
    died = subprocess.run([sys.executable, "-c", f"{code}; os._exit(9)"], check=False)
    assert died.returncode == 9
    Log(tmp_path).close()


def test_a_reader_that_asks_who_is_active_does_not_keep_a_coordinator_out(tmp_path):
    Log(tmp_path).close()
    reader = os.open(tmp_path / NAME, os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_SH)
    threading.Timer(0.2, os.close, (reader,)).start()
    Log(tmp_path).close()


def test_where_there_is_no_study_that_is_said(tmp_path):
    with pytest.raises(InputError, match="holds no study"):
        open_study(tmp_path / "nowhere")
    assert not is_active(tmp_path / "nowhere")


def test_an_event_of_a_newer_version_and_another_format_are_refused(tmp_path):
    written(tmp_path)
    log = Log(tmp_path)
    log.add(Event(kind="teleported"))
    log.close()
    with pytest.raises(InputError, match="a newer version of matinee"):
        open_study(tmp_path)
    shutil.rmtree(tmp_path)
    log = Log(tmp_path)
    log.add(Event(kind="study", about={"format": 2, "name": "x"}))
    log.close()
    with pytest.raises(InputError, match="format 2, this version reads 1"):
        open_study(tmp_path)


def test_a_full_disk_leaves_no_half_line_that_others_follow(tmp_path, monkeypatch):
    written(tmp_path)
    log, write = Log(tmp_path), os.write
    kept, left = len(log.events), [10]

    def full(file, line):
        if not left:
            raise OSError(28, "No space left on device")
        return write(file, line[: left.pop()])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        log.add(Event(kind="heartbeat", at=1.0, clock=99.0))
    monkeypatch.undo()
    log.add(Event(kind="heartbeat", at=2.0, clock=100.0))
    log.close()
    assert [event.clock for event in list(read_events(tmp_path))[kept:]] == [100.0]


@pytest.mark.parametrize(
    "words", ["", '{"attempt": 1', "[]", '{"attempt": 1, "value": NaN}', '{"attempt": 1}']
)
def test_a_result_that_the_machines_end_tore_says_nothing(tmp_path, words):
    (tmp_path / RESULT).write_text(words)
    assert read_result(tmp_path, 1) is None
    (tmp_path / RESULT).write_text('{"attempt": 1, "value": 2.5, "seconds": 1.0}')
    assert read_result(tmp_path, 1) == {"attempt": 1, "value": 2.5, "seconds": 1.0}
    assert read_result(tmp_path, 2) is None
