"""The section of docs/figures.md on newcomers, from results/newcomer.json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def newcomer_lines(found: dict[str, Any] | None) -> Iterator[str]:
    """The section's lines; none where nothing was measured."""
    if found is None:
        return
    tables = found["tables"]
    yield "## Newcomers of whom little is known\n"
    yield (
        f"MovieLens-1M with times, learnt from {found['learnt_from']:,} events before the 0.7 quantile of "
        f"all times; {tables[0]['viewers']} viewers who came later are asked for the event after their first "
        "ones. ndcg@10 with 95 % intervals over viewers; p is that of a paired sign-flip test against the "
        "best recent popularity of the column (*).\n"
    )
    yield "| after |" + "".join(f" {_events(one['events'])} |" for one in tables)
    yield "|" + "---|" * (len(tables) + 1)
    for place, row in enumerate(tables[0]["rows"]):
        yield f"| {row['name']} |" + "".join(f" {_cell(one, one['rows'][place])} |" for one in tables)
    yield ""
    yield "| bar | | figure | |"
    yield "|---|---|---|---|"
    for one in tables:
        blend = one["rows"][-1]
        if one["events"]:
            what = f"the blend above {one['rival']} after {_events(one['events'])}"
            yield f"| {what} | p < .01{_asked(one)} | p {_p(blend['p'])} | {_state(blend['p'] < 0.01)} |"
    yield ""
    took = f"The blend's fit took {found['fit_cpu_s']:.0f} CPU-s."
    yield f"{_joined(found['joined'])} {took} `{found['command']}`\n"


def _events(n: int) -> str:
    return "nothing" if n == 0 else f"{n} event{'' if n == 1 else 's'}"


def _cell(table: dict[str, Any], row: dict[str, Any]) -> str:
    ndcg, rival = row["ndcg@10"], " *" if row["name"] == table["rival"] else ""
    return f"{_number(ndcg['mean'])} [{_number(ndcg['low'])} {_number(ndcg['high'])}]{rival}"


def _asked(table: dict[str, Any]) -> str:
    return "" if table["reached"] is not None else " (stretch)"


def _joined(settings: dict[str, Any]) -> str:
    """How the parts were joined for histories of each length."""
    sorts = ["none", *(f"at least {length}" for length in settings["lengths"])]
    if len(sorts) == 1:
        return "Histories of all lengths weigh alike."
    words = [
        f"{name} {', '.join(f'{weight:g}' for weight in weights)}"
        for name, weights in zip(settings["parts"][1:], settings["weights"], strict=True)
    ]
    return f"Weights of the partners by events known ({', '.join(sorts)}): {'; '.join(words)}."


def _p(value: float) -> str:
    return f"{value:.4f}".lstrip("0")


def _number(value: float) -> str:
    return f"{value:.4f}".lstrip("0")


def _state(reached: bool) -> str:
    return "reached" if reached else "**missed**"
