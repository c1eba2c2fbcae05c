"""How much memory there is, and the refusal of what would not fit into it."""

from __future__ import annotations

import os
from pathlib import Path

from matinee.core.errors import TooLarge

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def available_bytes() -> int:
    """Memory that can be had now, in bytes: free or soon freed, within the container's limit if any."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    if _MEMINFO.exists():
        lines = (line.split() for line in _MEMINFO.read_text().splitlines())
        found += [int(words[1]) * 1024 for words in lines if words[0] == "MemAvailable:"]
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        if limit != "max":
            found.append(int(limit) - int((_CGROUP / "memory.current").read_text()))
    except OSError:  # no container, or one of the older kind
        pass
    return max(0, min(found))


def require_memory(what: str, needed_bytes: int, remedy: str = "") -> None:
    """Refuse what would not fit into memory, before it starts.

    Args:
        what: what would need it, such as "ials with 128 factors".
        needed_bytes: the predicted peak.
        remedy: what to do about it, a sentence.

    Raises:
        TooLarge: it would need more than there is; the message names both.
    """
    available = available_bytes()
    if needed_bytes > available:
        raise TooLarge(
            f"{what} would need {gigabytes(needed_bytes)} of memory, {gigabytes(available)} are available."
            f"{' ' + remedy if remedy else ''}"
        )


def gigabytes(n_bytes: int) -> str:
    """A number of bytes as people read it: GB of 10**9 bytes, with one decimal."""
    return f"{n_bytes / 1e9:.1f} GB"
