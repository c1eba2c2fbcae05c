"""How much memory a process and its children hold, from Linux's /proc."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
# Pages of files do not count: the system drops them when memory is short.
_COUNTED = ("RssAnon:", "RssShmem:")


def resident_bytes(process: int) -> int:
    """Bytes that a process and its descendants hold in memory, beside what is read from files; 0: unknown."""
    return sum(_own(one) for one in _family(process))


def _own(process: int) -> int:
    with suppress(OSError):
        lines = (_PROC / str(process) / "status").read_text().splitlines()
        return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(_COUNTED))
    return 0


def _family(process: int) -> list[int]:
    found, rest = [], [process]
    while rest:
        one = rest.pop()
        found.append(one)
        with suppress(OSError):
            for task in (_PROC / str(one) / "task").iterdir():
                rest += [int(word) for word in (task / "children").read_text().split()]
    return found
