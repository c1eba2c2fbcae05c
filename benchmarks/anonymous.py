"""How much anonymous memory a process has: what it asked for itself, files that it maps left out."""

from __future__ import annotations

from pathlib import Path


def anonymous_bytes(pid: int | None) -> int:
    """RssAnon of a process, in bytes; 0 where it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    line = next((line for line in status.splitlines() if line.startswith("RssAnon:")), "RssAnon: 0 kB")
    return int(line.split()[1]) * 1024
