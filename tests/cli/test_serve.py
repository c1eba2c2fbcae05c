"""`matinee serve` as a program: real processes, real sockets, real signals."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.served import (
    ENVIRONMENT,
    WITHIN_S,
    command,
    refusal,
    serving,
    two_bundles,
    under_load,
)

import matinee
from matinee.testing.made_logs import random_log


@pytest.fixture(scope="module")
def bundles(tmp_path_factory) -> Path:
    return two_bundles(tmp_path_factory.mktemp("bundles"))


def test_says_what_is_served_answers_keeps_a_log_without_ids_and_ends(tmp_path, bundles):
    log = tmp_path / "requests.log"
    arguments = (str(bundles), "--port", "0", "--workers", "2", "--log", "json", "--log-file", str(log))
    with serving(tmp_path, *arguments, MATINEE_AWS_KEYS="") as server:
        assert server.told["pid"] == server.process.pid
        assert sorted(server.told["workers"]) == sorted(server.workers())
        assert {one["name"] for one in server.told["bundles"]} == {"first", "second"}
        assert server.get("/livez")[0] == 200
        assert server.get("/readyz")[0] == 200
        answer = json.loads(server.post("/v1/recommend", {"user": "v1", "k": 3})[1])
        assert len(answer["items"]) == 3
        assert server.get("/v1/users/somebody-secret?x=y-secret")[0] in (200, 400, 404)
        assert server.get("/no/such/path")[0] == 404
        figures = server.get("/metrics")[1]
        assert (
            'matinee_requests_total{face="native",method="POST",route="/v1/recommend",status="200"} 1.0'
            in figures
        )
        assert "matinee_processes 2.0" in figures
        assert "somebody" not in figures
        assert server.end() == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    routes = [line["route"] for line in lines if "route" in line]
    assert "/v1/recommend" in routes
    assert "/v1/users/{id}" in routes
    assert all(set(line) <= {"time", "method", "route", "face", "status", "ms", "bytes"} for line in lines)
    for secret in ('v1"', "secret", "127.0.0.1", "MATINEE"):
        assert secret not in log.read_text()


def test_an_event_that_was_acknowledged_is_in_the_next_answer_of_any_worker(tmp_path, bundles):
    with serving(tmp_path, str(bundles / "second"), "--port", "0", "--workers", "2") as server:
        for number in range(20):
            user, item = f"new-{number}", f"i{number % 20}"
            status, words = server.post(
                "/v1/events", {"events": [{"user": user, "item": item, "kind": "view"}]}
            )
            assert status in (200, 201, 202), words
            answer = json.loads(server.post("/v1/recommend", {"user": user, "k": 30})[1])
            assert item not in [one["item"] for one in answer["items"]]


def test_a_worker_that_dies_is_replaced_and_the_others_go_on(tmp_path, bundles):
    log = tmp_path / "requests.log"

    def told() -> list[dict]:
        return [one for line in log.read_text().splitlines() if "worker" in (one := json.loads(line))]

    arguments = ("--port", "0", "--workers", "2", "--log", "json", "--log-file", str(log), "--quiet")
    with serving(tmp_path, str(bundles), *arguments) as server:
        before = server.workers()
        os.kill(before[0], signal.SIGKILL)
        for _ in range(20):
            assert server.get("/livez")[0] == 200
        server.until(lambda: len(server.workers()) == 2 and before[0] not in server.workers())
        server.until(lambda: len(told()) == 2)
        died, came = told()
        assert f"Worker {before[0]} was ended by SIGKILL" in died["message"]
        assert (died["worker"], died["level"]) == (before[0], "error")
        assert came["worker"] in server.workers()
        assert f"in place of {before[0]}" in came["message"]
        assert server.get("/readyz")[0] == 200
        server.until(lambda: "matinee_processes 2.0" in server.get("/metrics")[1])


def test_a_large_log_is_taken_in_behind_an_open_door_and_once_however_often_it_is_killed(tmp_path):
    log = random_log(2, n_viewers=1000, n_items=400, longest=60)
    assert len(log) > 25_000
    bundle = tmp_path / "bundles" / "large"
    matinee.fit(replace(log, fingerprint="e" * 64), "transitions").save(bundle)
    offsets = log.histories.offsets.tolist()
    expected = {
        log.viewers.id(one): set(log.items.ids(log.histories.items[offsets[one] : offsets[one + 1]]))
        for one in range(0, 1000, 90)
        if offsets[one + 1] - offsets[one] > 3
    }
    assert len(expected) > 5
    store = tmp_path / "store.db"
    for stop in ("kill", "kill", "end"):
        with serving(tmp_path, str(bundle), "--port", "0", "--workers", "2") as server:
            for user, items in expected.items():
                answer = json.loads(server.post("/v1/recommend", {"user": user, "k": 50})[1])
                assert not answer["source"].startswith("fallback"), server.words()
                assert not {one["item"] for one in answer["items"]} & items
            if stop == "kill":
                for pid in [*server.workers(), server.process.pid]:
                    os.kill(pid, signal.SIGKILL)
                server.process.wait()
                continue
            server.until(lambda: json.loads(server.get("/readyz")[1]) == {"status": "ready"})
            assert server.end() == 0
    with closing(sqlite3.connect(store)) as connection:
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (len(log),)


def test_workers_end_when_whoever_started_them_is_killed(tmp_path, bundles):
    with serving(tmp_path, str(bundles), "--port", "0", "--workers", "2") as server:
        workers = server.workers()
        server.process.kill()
        server.process.wait()
        server.until(lambda: not any(_answers(pid) for pid in workers))


def _answers(pid: int) -> bool:
    """Whether a process is there, and no mere entry of the dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_hup_replaces_the_workers_without_a_failed_request(tmp_path, bundles):
    with serving(tmp_path, str(bundles), "--port", "0", "--workers", "2") as server:
        before = set(server.workers())

        def story(answered) -> None:
            answered(25)
            server.process.send_signal(signal.SIGHUP)
            server.until(lambda: "Every worker has been replaced" in server.words())
            answered(25)

        assert under_load(server.place, story) >= 50
        assert not before & set(server.workers())
        assert server.end() == 0


def test_the_end_under_load_fails_no_request(tmp_path, bundles):
    arguments = (str(bundles), "--workers", "2", "--log", "off", "--port")
    with serving(tmp_path, *arguments, "0") as server:

        def story(answered) -> None:
            answered(50)
            assert server.end() == 0

        assert under_load(server.place, story) >= 50


def test_is_told_to_end_while_it_still_loads(tmp_path, bundles):
    arguments = command("serve", str(bundles), "--port", "0", "--store", f"sqlite:///{tmp_path}/s.db")
    with subprocess.Popen(arguments, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not children.read_text():
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        words = process.communicate(timeout=WITHIN_S)[1]
    assert process.returncode == 0
    assert "Traceback" not in words


def test_a_successor_takes_over_while_clients_keep_asking(tmp_path, bundles):
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    with serving(tmp_path / "old", str(bundles), "--port", "0", "--reuse-port") as old:
        port = str(old.place[1])

        def story(answered) -> None:
            with serving(tmp_path / "new", str(bundles), "--port", port, "--reuse-port") as new:
                answered(10)
                assert old.end() == 0
                answered(20)
                assert new.get("/readyz")[0] == 200
                until.append(new.process.pid)
                assert new.end() == 0

        until: list[int] = []
        assert under_load(old.place, story) >= 30
        assert until


def test_serves_at_a_socket_that_systemd_passes_and_leaves_it_open(tmp_path, bundles):
    passed = socket.socket()
    passed.bind(("127.0.0.1", 0))
    passed.listen(16)
    place = passed.getsockname()
    starter = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); os.set_inheritable(3, True);"
        "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()));"
        "os.execv(sys.executable, [sys.executable, '-m', 'matinee', *sys.argv[2:]])"
    )
    told = tmp_path / "ready.json"
    options = [
        "serve",
        str(bundles),
        "--log",
        "off",
        "--store",
        f"sqlite:///{tmp_path}/s.db",
        "--json",
        str(told),
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", starter, str(passed.fileno()), *options],
        pass_fds=[passed.fileno()],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
    )
    try:
        early = socket.create_connection(place, timeout=WITHIN_S)
        early.sendall(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert b"200" in early.recv(100)
        early.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=WITHIN_S) == 0
        # It still listens: whoever comes now waits for the successor.
        socket.create_connection(place, timeout=WITHIN_S).close()
    finally:
        process.kill()
        process.wait()
        passed.close()


def test_refuses_what_it_cannot_serve_in_one_sentence(tmp_path, bundles):
    store = f"sqlite:///{tmp_path}/s.db"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"Port {port}" in refusal(str(bundles), "--port", str(port), "--store", store)
    assert "no such folder" in refusal(str(tmp_path / "none"), "--port", "0", "--store", store)
    assert "no key" in refusal(str(bundles), "--host", "0.0.0.0", "--port", "0", "--store", store)  # noqa: S104
    secret = "postgresql://me:hush-hush@127.0.0.1:1/none"  # noqa: S105
    assert "hush" not in refusal(str(bundles), "--port", "0", "--store", secret)
    assert "hush" not in refusal(str(bundles), "--port", "0", "--store", store, MATINEE_AWS_KEYS="hush")
    assert "matinee tune -o" in refusal(str(bundles), "--study", str(tmp_path / "none"), "--port", "0")
    assert "--retain" in refusal(str(bundles), "--retain", "soon", "--store", store)
    broken = tmp_path / "broken"
    matinee.fit(random_log(1), "popularity").save(broken)
    data = bytearray((broken / "items.parquet").read_bytes())
    data[len(data) // 2] ^= 1
    (broken / "items.parquet").write_bytes(data)
    assert "items.parquet" in refusal(str(broken), "--port", "0", "--store", store)
