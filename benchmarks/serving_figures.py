"""The figures of serving as lines of Markdown, from what serve_store, serve_web, serve_fuzz and index say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Found = Mapping[str, Any]


def serving_lines(
    store: Found | None, web: Found | None, fuzz: Found | None, index: Found | None
) -> Iterator[str]:
    """The section on serving; what was not measured is left out."""
    if not any((store, web, fuzz, index)):
        return
    yield "## Serving\n"
    yield "Measured on a busy machine: CPU times are rather too high; bars of time are not judged here.\n"
    if store:
        yield from _store(store)
    if web:
        yield from _web(web)
    if fuzz:
        yield (
            f"{fuzz['cases']:,} requests made up by schemathesis from the description, all checks: "
            f"{fuzz['failures']} "
            f"failures (bar {fuzz['bar']:,} requests without one). `{fuzz['command']}`\n"
        )
    if index:
        yield from _index(index)


def _store(found: Found) -> Iterator[str]:
    for name in ("sqlite", "postgres"):
        kills = found.get(f"kills {name}")
        if kills:
            yield (
                f"- kill -9, {kills['rounds']} rounds, {name}: {kills['acknowledged_events']:,} events "
                f"acknowledged, "
                f"{kills['lost']} lost, {kills['torn']} torn. `{kills['command']}`"
            )
    full = found.get("full_disk")
    if full:
        yield (
            f"- disk full: {full['acknowledged']:,} acknowledged, {full['lost']} of them lost, "
            f"{full['refused']} refused; "
            f"reads {'go on' if full['read_on'] else 'stop'}. `{full['command']}`"
        )
    cuts = [one for name, one in found.items() if name.startswith("cut ")]
    if cuts:
        yield (
            f"- the WAL cut at {sum(one['cuts'] for one in cuts):,} bytes of its last 65,536: "
            f"{sum(one['opened'] for one in cuts):,} open, {sum(one['unsound'] for one in cuts)} "
            f"unsound, and only a "
            f"suffix is lost. `{cuts[0]['command']}`"
        )
    yield ""


def _web(found: Found) -> Iterator[str]:
    yield "| request | application, us of CPU | whole server, us of CPU |"
    yield "|---|---|---|"
    for row in found["rows"]:
        yield f"| {row['request']} | {row['application_us']:.0f} | {row['server_us']:.0f} |"
    yield ""
    yield (
        f"Without a model's reckoning; two letters from an empty application cost "
        f"{found['two_letters_us']:.0f} us in the "
        f"same run. `{found['command']}`\n"
    )


def _index(found: Found) -> Iterator[str]:
    trained, larger = found["trained"], found["enlarged"]["sequential"]
    yield "| catalogue | lists read | recall@100 | CPU ms | |"
    yield "|---|---|---|---|---|"
    yield (
        f"| {trained['items']:,} trained vectors | {trained['probes']} of {trained['lists']:,} "
        f"| {trained['recall']:.3f} "
        f"| {trained['cpu_ms']:.2f} | the whole product: {trained['product_ms']:.2f} |"
    )
    yield (
        f"| {larger['items']:,}: trained vectors, enlarged | {larger['probes']} of {larger['lists']:,} "
        f"| {larger['recall']:.3f} | {larger['cpu_ms']:.2f} | |"
    )
    yield ""
    yield "| a server, history 50 | CPU ms an answer | of it until the best are known | MB | ready after |"
    yield "|---|---|---|---|---|"
    yield _served("network", larger["items"], found["service"], 3.0)
    blend = found.get("blend")
    if blend:
        yield _served("blend, all items looked at", blend["items"], blend["as it is"], 2.0)
        yield _served("blend", larger["items"], blend["service"], 4.0)
    yield ""
    hashed_s = found["bytes"] / 1e6 / found["sha256_mb_per_s"]
    yield (
        f"Bars: 900 MB and 2 s for the network at 1,000,000. Its bundle's {found['bytes'] / 1e6:,.0f} MB are "
        f"hashed before anything of them is used, by other threads: {hashed_s:.1f} of the CPU-seconds, at "
        f"the {found['sha256_mb_per_s']:,} MB a second that SHA-256 takes here."
    )
    if blend:
        yield (
            f"The blend's ten best are those of a look at all items for "
            f"{blend['joint']['same_top_10']:.0%} of {blend['joint']['queries']} histories."
        )
    yield (
        f"A product of 50 x 64 and 64 x 336 numbers took {found['yardstick_us']:.0f} us in the same run. "
        f"`{found['command']}`\n"
    )


def _served(name: str, items: int, service: Found, bar_ms: float) -> str:
    found = service["cpu_ms"]["median"]
    judged = f"{found:.1f} (bar {bar_ms:g}: {'reached' if found <= bar_ms else '**missed**'})"
    return (
        f"| {name}, {items:,} items | {judged} | {service['scorer_cpu_ms']['median']:.1f} "
        f"| {service['memory_mb']['VmHWM']} | {service['ready_cpu_s']:.1f} CPU-s |"
    )
