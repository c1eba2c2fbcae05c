"""A PostgreSQL server of one's own, for tests and measurements: on a free port, in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from matinee.core.errors import InputError

_STARTS_WITHIN_S = 30.0


class PostgresServer:
    """A server that can be stopped and started again; its data stays until the end.

    Args:
        durable: whether what is committed outlives a power cut. A killed process loses nothing either way.
    """

    def __init__(self, *, durable: bool) -> None:
        self._programs, self._account = _programs(), _account()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._data = Path(tempfile.mkdtemp(prefix="matinee-postgres-"))
        if self._account is not None:
            shutil.chown(self._data, self._account)
        self._fsync = "on" if durable else "off"
        self._process: subprocess.Popen[bytes] | None = None
        cluster = ("-U", "tester", "--auth=trust", "--no-sync", "-E", "UTF8")
        subprocess.run(
            [self._programs / "initdb", "-D", self._data / "db", *cluster],
            check=True,
            capture_output=True,
            user=self._account,
            cwd="/",
        )
        self.address = f"postgresql://tester:secret@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = ("-c", "listen_addresses=127.0.0.1", "-c", f"fsync={self._fsync}", "-k", str(self._data))
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", self._data / "db", "-p", str(self.port), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._account,
            cwd="/",
        )
        end = time.monotonic() + _STARTS_WITHIN_S
        while True:
            try:
                psycopg.connect(self.address).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def stop(self) -> None:
        """Stop it at once, as a fast shutdown does: open connections are cut."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=30)
            self._process = None

    def kill(self) -> None:
        """Kill its every process, as a crash of the whole server does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(timeout=30)
            self._process = None

    def remove(self) -> None:
        """Delete its data."""
        shutil.rmtree(self._data, ignore_errors=True)


@contextmanager
def postgres_server(*, durable: bool = False) -> Iterator[PostgresServer]:
    """A running server.

    Args:
        durable: see `PostgresServer`.

    Raises:
        InputError: PostgreSQL's programs are not installed, or it may not run here.
    """
    server = PostgresServer(durable=durable)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        server.remove()


def _programs() -> Path:
    """The folder of PostgreSQL's server programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path is None:
        raise InputError("There is no PostgreSQL server here: apt-get install postgresql.")
    return Path(on_path).resolve().parent


def _account() -> str | None:
    """PostgreSQL refuses to run as root: the account to run it as, or None for one's own."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError as error:
        raise InputError("PostgreSQL does not run as root, and there is no account postgres.") from error
