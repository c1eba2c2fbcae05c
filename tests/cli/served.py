"""`matinee serve` as tests see it from outside: its process, its answers, and clients that press it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import matinee
from matinee.testing.made_logs import random_log

# Against hanging only: under load a server may take a minute to start.
WITHIN_S = 200
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def two_bundles(folder: Path) -> Path:
    """A folder of two small bundles, `first` and `second`."""
    log = random_log(0)
    matinee.fit(log, "popularity").save(folder / "first")
    matinee.fit(log, "transitions").save(folder / "second")
    return folder


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "matinee", *arguments]


class Server:
    """A server that is ready, seen from outside."""

    def __init__(self, process, told: dict, errors: Path):
        self.process, self.told, self._errors = process, told, errors
        self.address = told["address"]
        self.place = ("127.0.0.1", int(self.address.rpartition(":")[2]))

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.address + path, timeout=WITHIN_S) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def post(self, path: str, value: dict, **headers: str) -> tuple[int, str]:
        request = urllib.request.Request(  # noqa: S310
            self.address + path,
            data=json.dumps(value).encode(),
            headers={"content-type": "application/json", **headers},
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=WITHIN_S) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(one) for one in children]

    def words(self) -> str:
        return self._errors.read_text()

    def until(self, true, seconds: float = WITHIN_S):
        last = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < last, self.words()
            time.sleep(0.05)

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=WITHIN_S)


@contextmanager
def serving(folder: Path, *arguments: str, descriptor: int | None = None, **environment: str):
    told, errors = folder / "ready.json", folder / "errors.txt"
    told.unlink(missing_ok=True)
    with errors.open("wb") as words:
        process = subprocess.Popen(
            command("serve", *arguments, "--store", f"sqlite:///{folder}/store.db", "--json", str(told)),
            stdout=words,
            stderr=words,
            env={**ENVIRONMENT, **environment},
            pass_fds=[] if descriptor is None else [descriptor],
        )
        try:
            last = time.monotonic() + WITHIN_S
            while not (told.exists() and told.read_text().endswith("}\n")):
                assert process.poll() is None, errors.read_text()
                assert time.monotonic() < last, errors.read_text()
                time.sleep(0.02)
            yield Server(process, json.loads(told.read_text()), errors)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()


def refusal(*arguments: str, **environment: str) -> str:
    began = time.monotonic()
    run = subprocess.run(
        command("serve", *arguments),
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, **environment},
        timeout=WITHIN_S,
        check=False,
    )
    assert run.returncode == 2, run.stderr
    assert len(run.stderr.strip().splitlines()) == 1, run.stderr
    assert time.monotonic() - began < 25
    return run.stderr


async def hammer(place: tuple[str, int], until: asyncio.Event, failed: list[str], done: list[int]) -> None:
    """A client that keeps its connection, goes when it is told to, and counts what broke."""
    body = b'{"user": "v1", "k": 3}'
    head = b"POST /v1/recommend HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    request = head + f"content-length: {len(body)}\r\n\r\n".encode() + body
    while not until.is_set():
        try:
            reader, writer = await asyncio.open_connection(*place)
        except ConnectionRefusedError:
            # Nobody listens: no request was taken. Somebody will.
            await asyncio.sleep(0.02)
            continue
        going = True
        try:
            while going and not until.is_set():
                writer.write(request)
                header = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(header.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
                if b" 200 " not in header:
                    failed.append(header.decode())
                done.append(1)
                going = b"connection: close" not in header
        except (OSError, asyncio.IncompleteReadError) as error:
            failed.append(repr(error))
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def under_load(place: tuple[str, int], story) -> int:
    """Run a story in a thread beside 8 clients: how many requests were answered, none having failed.

    The story is given a function that waits until so many more requests have been answered.
    """
    failed: list[str] = []
    done: list[int] = []

    async def both() -> None:
        until = asyncio.Event()
        clients = [asyncio.create_task(hammer(place, until, failed, done)) for _ in range(8)]
        try:
            await asyncio.to_thread(story, lambda more: _until_done(done, more, failed))
        finally:
            until.set()
            await asyncio.gather(*clients)

    asyncio.run(both())
    assert not failed, failed[:3]
    return len(done)


def _until_done(done: list[int], more: int, failed: list[str]) -> None:
    wanted, last = len(done) + more, time.monotonic() + WITHIN_S
    while len(done) < wanted and not failed:
        assert time.monotonic() < last, f"{len(done)} of {wanted} requests were answered"
        time.sleep(0.01)
