"""What `ddp.py` measured, as lines of the page of figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def process_lines(found: dict[str, Any] | None) -> Iterator[str]:
    """One network trained by one process and by two."""
    if found is None:
        return
    yield "## One network trained by two processes\n"
    yield (
        f"MovieLens-100K, `sequential`, {found['passes']} passes, dropout included; gloo on one machine, a "
        f"thread each, at a load of {found['load_at_start']:.0f} on {found['machine']['cores']} cores: "
        "wall seconds say little.\n"
    )
    yield "| precision | processes | loss of each pass | CPU-s of each | MB moved a step | steps, wall s |"
    yield "|---|---|---|---|---|---|"
    for row in found["rows"]:
        losses = ", ".join(f"{loss:.5f}" for loss in row["losses"])
        cpu = " + ".join(f"{seconds:.1f}" for seconds in row["cpu_s"])
        moved = f"{row['moved_bytes_a_step'] / 1e6:.2f}" if row["processes"] > 1 else "–"
        yield (
            f"| {row['precision']} | {row['processes']} | {losses} | {cpu} | {moved} "
            f"| {row['steps_wall_s']:.0f} |"
        )
    yield ""
    state = "reached" if found["reached"] else "**missed**"
    others = "".join(
        f" In {name} {worst:.1e}." for name, worst in found["differences"].items() if name != "float32"
    )
    yield (
        f"Bar: in float32 every loss within {found['bar']:.0e} of one process's; found "
        f"{found['differences']['float32']:.1e}: {state}.{others} `{found['command']}`\n"
    )
