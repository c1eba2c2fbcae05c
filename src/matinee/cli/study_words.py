"""How a study looks on a terminal, while it goes on and afterwards."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from matinee.report.numbers import counted, money

if TYPE_CHECKING:
    from rich.table import Table

    from matinee.tune.study import Study

_SHOWN = 12


@contextmanager
def watching(quiet: bool) -> Iterator[Callable[[Study], None]]:
    """While a study goes on: a live table on a terminal, elsewhere a line for each trial that ends."""
    if quiet:
        yield lambda _study: None
        return
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.live import Live

    from matinee.tune.study import study_facts

    with Live(console=Console(stderr=True), transient=True, auto_refresh=False) as live:
        yield lambda study: live.update(
            study_table(study_facts(study, name=study.name, active=True), titled=True), refresh=True
        )


def _lines() -> Callable[[Study], None]:
    """Writes a line to standard error whenever a trial has ended."""
    told: set[int] = set()

    def tell(study: Study) -> None:
        for trial in study.trials:
            if trial.over and trial.number not in told:
                told.add(trial.number)
                what = f"value {trial.value:.6g}" if trial.value is not None else trial.reason
                best = study.best
                words = f"trial {trial.number} of {trial.region}" if trial.region else f"trial {trial.number}"
                print(
                    f"{words}: {what}; best {best.value:.6g}, spent {money(study.ledger.spent_dollars)}"
                    if best is not None and best.value is not None
                    else f"{words}: {what}",
                    file=sys.stderr,
                    flush=True,
                )

    return tell


def study_table(facts: Mapping[str, Any], *, titled: bool = False) -> Table:
    """The latest trials of a study and its best.

    Args:
        facts: the JSON of `status`.
        titled: whether what is spent stands above.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    title = spent_words(facts) if titled else None
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    for name in ("trial", "state", "value", "cost", "time", "settings"):
        right = name in ("trial", "value", "cost", "time")
        # Where the terminal is narrow, only the settings lose their ends.
        table.add_column(name, justify="right" if right else "left", no_wrap=name != "settings")
    best = (facts["best"] or {}).get("id")
    shown = [one for one in facts["trials"] if one["id"] == best]
    shown += [one for one in facts["trials"] if one["id"] != best][-_SHOWN:]
    for one in shown:
        table.add_row(
            f"{one['id']}{' *' if one['id'] == best else ''}",
            _state(one),
            _value(one),
            money(one["dollars"]),
            f"{one['seconds']:.0f} s",
            Text(settings_line(one["settings"]), no_wrap=True, overflow="ellipsis"),
        )
    return table


def _state(trial: Mapping[str, Any]) -> str:
    if trial["state"] == "running" and trial["steps"]:
        return f"running, step {trial['steps']:.0f}"
    return str(trial["state"])


def _value(trial: Mapping[str, Any]) -> str:
    if trial["value"] is not None:
        return f"{trial['value']:.5g}"
    return f"({trial['curve'][-1][1]:.5g})" if trial["curve"] else "-"


def spent_words(facts: Mapping[str, Any]) -> str:
    """Trials, best, spent against budget, time left: one line."""
    from matinee.recipes.quote import duration

    done = sum(one["state"] == "done" for one in facts["trials"])
    words = [f"{counted(len(facts['trials']), 'trial')}, {done} done"]
    if facts["best"]:
        words.append(f"best {facts['best']['value']:.5g} (trial {facts['best']['id']})")
    spent = f"spent {money(facts['spent_dollars'])}"
    if facts["budget_dollars"] is not None:
        spent += f" of {money(facts['budget_dollars'])}"
    words.append(spent)
    if facts["budget_s"] is not None:
        left = max(0.0, facts["budget_s"] - facts["spent_s"])
        words.append(f"{duration(left)} of {duration(facts['budget_s'])} left")
    return ", ".join(words)


def settings_line(settings: Mapping[str, Any]) -> str:
    """Settings as `--set` takes them, in a line."""
    return ", ".join(f"{name}={_typed(value)}" for name, value in settings.items())


def _typed(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(_typed(one) for one in value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _regions(facts: Mapping[str, Any]) -> Iterator[str]:
    """What each region's study came to, a line each."""
    for one in facts.get("regions", ()):
        best = one["best"]
        words = "no trial was finished" if best is None else f"{best['value']:.5g}"
        if best is not None and one.get("default_value") is not None:
            words += f" against {one['default_value']:.5g} of the defaults"
        name = one.get("region") or one["study"]
        yield f"  {name}: {words}, {counted(len(one['trials']), 'trial')}, {money(one['spent_dollars'])}."
    for line in facts.get("left_out", ()):
        yield f"  {line}"


def summary(facts: Mapping[str, Any]) -> Iterator[str]:
    """What a study came to, what it spent, and what was left and why: a line each.

    Args:
        facts: the JSON of `tune`.
    """
    from matinee.recipes.quote import duration

    whose = "Everybody's study: " if facts.get("regions") else ""
    yield f"{whose}{spent_words(facts)}. {facts['reason'] or ''}".rstrip()
    best = facts["best"]
    if best is None and facts.get("state") == "running":
        yield "No trial has been finished yet."
    elif best is None:
        failed = [one["reason"] for one in facts["trials"] if one["state"] == "failed" and one["reason"]]
        more = "The same command with --resume and a larger --budget goes on."
        why = f"The last that failed: {failed[-1]}" if failed else more
        yield f"No trial was finished, so there is no best. {why}"
    else:
        yield f"Best: {settings_line(best['settings'])}."
        against = facts.get("default_value")
        name = facts.get("metric") or "value"
        words = f"{name} {best['value']:.5g}"
        yield f"{words} against {against:.5g} of the defaults." if against is not None else f"{words}."
    yield from _regions(facts)
    left = []
    if facts.get("left_dollars") is not None:
        left.append(money(max(0.0, facts["left_dollars"])))
    if facts.get("left_s") is not None:
        left.append(duration(max(0.0, facts["left_s"])))
    if left:
        yield f"Left unspent: {' and '.join(left)}."
    yield from _quoted(facts)


def _quoted(facts: Mapping[str, Any]) -> Iterator[str]:
    """What was quoted beside what it took, all regions together."""
    told = facts.get("quote")
    if told:
        trials = told["here"]["study"]["trials"]
        every = [one for study in (facts, *facts.get("regions", ())) for one in study["trials"]]
        done = sum(one["state"] == "done" for one in every)
        yield (
            f"Quoted about {trials['likely']:,.0f} trials ({trials['low']:,.0f} to {trials['high']:,.0f}), "
            f"finished {done}."
        )
