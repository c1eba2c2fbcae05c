"""The figures of a server under load as lines of Markdown, from what serving.py says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Found = Mapping[str, Any]


def online_lines(found: Found) -> Iterator[str]:
    """A table of all parts that were measured, each beside its bar."""
    parts = found["parts"]
    yield "| a server under load | seen | bar | |"
    yield "|---|---|---|---|"
    for name, rows in _ROWS.items():
        if name in parts:
            command = parts[name]["measured"]["command"]
            for what, seen, bar in rows(parts[name]):
                yield f"| {what} | {seen} | {bar} | `{command}` |"
    yield ""


def _load(found: Found) -> Iterator[tuple[str, str, str]]:
    for name in ("sequential", "blend"):
        one = found[name]
        plain, told = one["plain"], one["with_reasons"]
        reached = "reached" if plain["cpu_ms"] <= one["bar_ms"] else "**missed**"
        yield (
            f"{name}, {one['items']:,} items, history {one['history']}: CPU a request, HTTP included",
            f"{plain['cpu_ms']:.2f} ms where a product of 50 x 64 and 64 x 336 numbers takes "
            f"{plain['yardstick_us']:.0f} us; with ten reasons {told['cpu_ms']:.1f} "
            f"({told['yardstick_us']:.0f} us)",
            f"{one['bar_ms']} ms: {reached}",
        )


def _lag(found: Found) -> Iterator[tuple[str, str, str]]:
    yield (
        "from an event's acknowledgement to the end of the next answer, by either of two processes",
        f"{found['answers']:,} asked, {found['missed']} without the event; p50 {found['lag_p50_ms']:.1f} ms, "
        f"p99 {found['lag_p99_ms']:.1f} (the same request again: {found['again_p50_ms']:.1f}, "
        f"{found['again_p99_ms']:.1f})",
        "always; p99 10 ms",
    )


def _events(found: Found) -> Iterator[tuple[str, str, str]]:
    yield (
        "durable single-event posts from 64 connections",
        f"{found['per_s']:,.0f} a second, {found['times_fsync']:.1f} times the {found['fsync_per_s']:,.0f} "
        "fsyncs a second of this disk at the time",
        "3,000, or 15 times",
    )


def _slow(found: Found) -> Iterator[tuple[str, str, str]]:
    yield (
        f"{found['slow']} slow connections that ask for nothing dear",
        f"all gone in {found['longest_s']:.1f} s; the others' p99 {found['without_p99_ms']:.1f} ms without, "
        f"{found['beside_p99_ms']:.1f} beside them: {found['times']:.2f} times",
        "10 s; less than twice",
    )


def _activation(found: Found) -> Iterator[tuple[str, str, str]]:
    yield (
        f"{found['activations']} activations",
        f"{found['failed']} of {found['answered']:,} requests failed",
        "none",
    )


def _sigterm(found: Found) -> Iterator[tuple[str, str, str]]:
    yield (
        f"{found['sigterms']} ends by SIGTERM",
        f"{found['failed']} of {found['answered']:,} requests failed",
        "none",
    )


def _kills(found: Found) -> Iterator[tuple[str, str, str]]:
    yield (
        f"kill -9 over HTTP, {found['rounds']} rounds",
        f"{found['acknowledged']:,} events acknowledged, {found['lost']} lost",
        "none lost",
    )


def _soak(found: Found) -> Iterator[tuple[str, str, str]]:
    yield (
        f"{found['seconds'] / 60:.0f} minutes at {found['per_s']:.0f} answers a second",
        f"memory {found['warm_mb']:.0f} MB after warming up, {found['end_mb']:.0f} at the end: "
        f"{100 * found['grew']:+.1f} %",
        "less than 5 %",
    )


_ROWS: Mapping[str, Callable[[Found], Iterator[tuple[str, str, str]]]] = {
    "load": _load,
    "lag": _lag,
    "events": _events,
    "slow": _slow,
    "activation": _activation,
    "sigterm": _sigterm,
    "kills": _kills,
    "soak": _soak,
}
