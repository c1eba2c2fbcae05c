"""How much memory there is, and a refusal in time where a fit would need more."""

from __future__ import annotations

from pathlib import Path

from matinee.core.errors import TooLarge

_SHARE = 0.9


def available_bytes(root: Path = Path("/")) -> int | None:
    """Memory that a new allocation may take: what the machine has free, or the control group allows, if less.

    Args:
        root: where `proc/` and `sys/` lie; tests bring their own.

    Returns:
        Bytes, or None on a system that tells neither.
    """
    found = [_machine(root / "proc/meminfo")]
    groups = root / "sys/fs/cgroup"
    found.append(_group(groups / "memory.max", groups / "memory.current"))
    old = groups / "memory"
    found.append(_group(old / "memory.limit_in_bytes", old / "memory.usage_in_bytes"))
    known = [bytes_ for bytes_ in found if bytes_ is not None]
    return min(known) if known else None


def fits(bytes_: int) -> bool:
    """Whether so much fits in nine tenths of the memory that is available, as far as the system tells."""
    there = available_bytes()
    return there is None or bytes_ <= _SHARE * there


def require(bytes_: int, what: str, remedy: str) -> None:
    """Refuse what will not fit in nine tenths of the memory that is available.

    Raises:
        TooLarge: names what is needed and what there is.
    """
    if not fits(bytes_):
        there = size_words(available_bytes() or 0)
        raise TooLarge(f"{what} needs {size_words(bytes_)} of memory, {there} are available: {remedy}.")


def size_words(bytes_: int) -> str:
    """A size as people say it: GiB, or whole MiB below that."""
    return f"{bytes_ / 2**30:.1f} GiB" if bytes_ >= 2**30 else f"{max(1, round(bytes_ / 2**20)):,} MiB"


def _machine(path: Path) -> int | None:
    """`MemAvailable` of Linux's meminfo."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    values = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(values[0]) * 1024 if values else None


def _group(limit: Path, usage: Path) -> int | None:
    """What a control group still allows; None where it sets no limit."""
    try:
        allowed, used = limit.read_text().strip(), int(usage.read_text())
    except (OSError, ValueError):
        return None
    if not allowed.isdigit() or int(allowed) >= 2**60:
        return None
    return max(0, int(allowed) - used + _reclaimable(limit.parent / "memory.stat"))


def _reclaimable(stat: Path) -> int:
    """File pages that the kernel gives back when memory is short."""
    try:
        pairs = dict(line.split() for line in stat.read_text().splitlines())
        return int(pairs.get("inactive_file", pairs.get("total_inactive_file", 0)))
    except (OSError, ValueError):
        return 0
