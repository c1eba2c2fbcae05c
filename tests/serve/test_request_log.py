"""Lines arrive whole, files are put aside when they are large, and a full disk stops nobody."""

import json
import time
from multiprocessing import get_context

from matinee.serve.request_log import RequestLog, ToFile


def test_lines_of_several_processes_are_whole_and_files_are_put_aside(tmp_path):
    path = tmp_path / "requests.log"
    with get_context("fork").Pool(4) as pool:
        pool.starmap(_fill, [(path, name) for name in "abcd"])
    files = sorted(tmp_path.iterdir())
    assert len(files) > 1
    lines = [line for file in files for line in file.read_text().splitlines()]
    assert sorted((one["by"], one["number"]) for one in map(json.loads, lines)) == [
        (by, number) for by in "abcd" for number in range(100)
    ]


def _fill(path, name):
    to = ToFile(path, most_bytes=10_000)
    for number in range(100):
        to.write(json.dumps({"by": name, "number": number, "more": "x" * 20}).encode() + b"\n")


def test_a_file_that_logrotate_has_moved_is_begun_anew(tmp_path):
    path = tmp_path / "requests.log"
    to = ToFile(path)
    to.write(b"one\n")
    path.rename(tmp_path / "aside")
    to.write(b"two\n")
    assert path.read_text() == "two\n"


class Full:
    """A disk that is full, once."""

    def __init__(self):
        self.kept, self.refused = b"", 0

    def write(self, data):
        if not self.refused:
            self.refused = 1
            raise OSError(28, "No space left on device")
        self.kept += data


def test_a_full_disk_loses_lines_and_nothing_else():
    full = Full()
    log = RequestLog("plain", full)
    log.say("first")
    last = time.monotonic() + 20
    while not full.refused and time.monotonic() < last:
        time.sleep(0.01)
    log.request({"method": "GET", "route": "/v1/users/{id}", "status": 200, "ms": 1.5, "bytes": 10})
    log.close()
    assert full.refused
    assert full.kept.endswith(b"Z GET /v1/users/{id} 200 1.5 ms 10 B\n")


def test_off_means_no_requests_and_yet_what_the_server_says(tmp_path):
    log = RequestLog("off", ToFile(tmp_path / "log"))
    log.request({"method": "GET", "route": "/", "status": 200, "ms": 1.5, "bytes": 10})
    log.say("the store cannot be reached")
    log.close()
    assert "GET" not in (tmp_path / "log").read_text()
    assert "the store cannot be reached" in (tmp_path / "log").read_text()
