"""What the machine says of its memory."""

from pathlib import Path

import pytest

from matinee.core.errors import TooLarge
from matinee.core.memory import available_bytes, require


def machine(root: Path, available_kb: int, limit: str | None = None, used: int = 0) -> Path:
    (root / "proc").mkdir()
    (root / "proc/meminfo").write_text(f"MemTotal: 99999999 kB\nMemAvailable: {available_kb} kB\n")
    if limit is not None:
        group = root / "sys/fs/cgroup"
        group.mkdir(parents=True)
        (group / "memory.max").write_text(f"{limit}\n")
        (group / "memory.current").write_text(f"{used}\n")
        (group / "memory.stat").write_text("anon 5\ninactive_file 300\n")
    return root


def test_the_lesser_of_machine_and_group(tmp_path: Path) -> None:
    assert available_bytes(tmp_path) is None
    assert available_bytes(machine(tmp_path, 100, "5000", 2000)) == 3300


def test_a_group_without_limit_counts_not(tmp_path: Path) -> None:
    assert available_bytes(machine(tmp_path, 100, "max", 2000)) == 102_400


def test_refusal_names_both_numbers() -> None:
    require(1, "this", "nothing")
    with pytest.raises(TooLarge, match=r"^this needs 1048576\.0 GiB of memory, .* are available: rent\.$"):
        require(2**50, "this", "rent")
