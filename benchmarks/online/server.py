"""A server as people start it, and what its processes cost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Server:
    """A server that is ready."""

    process: subprocess.Popen[bytes]
    told: dict[str, Any]
    store: str

    @property
    def address(self) -> str:
        """Where it listens."""
        return str(self.told["address"])

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        return "127.0.0.1", int(self.address.rpartition(":")[2])

    def workers(self) -> list[int]:
        """Process ids of those who answer."""
        pid = self.process.pid
        with suppress(OSError):
            return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return []

    def worker_of(self, port: int) -> int:
        """The process that has accepted the connection from a port of this machine, by the kernel's word."""
        here, there = f":{self.place[1]:04X}", f":{port:04X}"
        rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        inode = next(row[9] for row in rows if row[1].endswith(here) and row[2].endswith(there))
        for pid in self.workers():
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    if str(descriptor.readlink()) == f"socket:[{inode}]":
                        return pid
        raise RuntimeError(f"No process that answers has the connection from port {port}.")

    def cpu_s(self) -> float:
        """User and system time of those who answer, so far."""
        return sum(_cpu_s(pid) for pid in self.workers())

    def resident_mb(self) -> float:
        """Memory of those who answer."""
        pages = 0
        for pid in self.workers():
            with suppress(OSError):
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * _PAGE / 1e6

    def end(self) -> float:
        """Ask it to end: the seconds that took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)
        return time.monotonic() - began

    def kill_everything(self) -> None:
        """Kill -9 of all of its processes at once."""
        for pid in [self.process.pid, *self.workers()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def serving(
    folder: Path, bundles: Path, *, workers: int = 1, port: int = 0, more: Sequence[str] = (), store: str = ""
) -> Iterator[Server]:
    """A server over a store in a folder, killed at the end if it is still there."""
    told = folder / f"ready-{time.monotonic_ns()}.json"
    store = store or f"sqlite:///{folder}/store.db"
    command = [sys.executable, "-m", "matinee", "serve", str(bundles), "--store", store, "--port", str(port)]
    command += ["--workers", str(workers), "--log", "json", "--log-file", str(folder / "requests.log")]
    process = subprocess.Popen([*command, "--json", str(told), *more], stdout=subprocess.DEVNULL)
    try:
        while not (told.exists() and told.read_text().endswith("}\n")):
            if process.poll() is not None:
                raise SystemExit("The server did not begin; its words are above.")
            time.sleep(0.01)
        yield Server(process, json.loads(told.read_text()), store)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
