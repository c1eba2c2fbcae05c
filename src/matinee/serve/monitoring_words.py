"""What the figures of a server mean, in sentences: for the page and for the report."""

from __future__ import annotations

from typing import Any

from matinee.report.numbers import counted, figure, percent
from matinee.serve.attribution import Rate
from matinee.serve.drift import FEWEST_EVENTS, FEWEST_VIEWERS, Drift
from matinee.serve.monitoring import Figures

TOO_FEW = "too few to tell"
# From here on something is pointed out.
OLD_DAYS = 8.0
_MANY_FALLBACKS = 0.3
_MUCH_UNKNOWN = 0.1
_LITTLE_SHOWN = 0.1


def look(found: Figures | None) -> list[dict[str, Any]]:
    """What is worth looking at, with what it means."""
    if found is None:
        return []
    age = f"{found.age_days:.0f} days" if found.age_days >= 2 else f"{24 * found.age_days:.0f} hours"
    words = f"{counted(found.new_events, 'event')} since it was fitted; `matinee refresh` takes them in."
    return [_row("the model's age", age, words, found.age_days < OLD_DAYS), *of_late(found)]


def of_late(found: Figures) -> list[dict[str, Any]]:
    """What happened in the days that the figures are of: name, value, words, and whether all is well."""
    rows = []
    if found.fallbacks is not None:
        words = "of the answers shown had nothing personal in them: newcomers, or viewers of unknown items."
        rows.append(_share_row("answers for anybody", found.fallbacks, words, _MANY_FALLBACKS))
    if found.coverage.shown is not None:
        rows.append(_coverage_row(found))
    rows += [
        _drift_row(name, one)
        for name, one in (("titles", found.drift_items), ("categories", found.drift_categories))
        if one is not None
    ]
    if found.unknown is not None:
        words = "of the choices fell on items that the model has never seen: it cannot recommend them."
        rows.append(_share_row("new items", found.unknown, words, _MUCH_UNKNOWN))
    return rows


def _row(name: str, value: str, words: str, well: bool) -> dict[str, Any]:
    return {"name": name, "value": value, "words": words, "well": well}


def _too_few(name: str, found: str) -> dict[str, Any]:
    wanted = f"fewer than {FEWEST_EVENTS}, or of fewer than {FEWEST_VIEWERS} viewers"
    return _row(name, TOO_FEW, f"{found}: nothing is said of {wanted}.", True)


def _coverage_row(found: Figures) -> dict[str, Any]:
    cover, answers = found.coverage, 0 if found.fallbacks is None else found.fallbacks.shown
    if answers < FEWEST_EVENTS:
        return _too_few("the catalogue", f"{counted(answers, 'answer')} shown")
    shown = cover.share_shown or 0.0
    words = (
        f"{cover.shown or 0:,} of {counted(cover.items, 'item')} {_were(cover.shown or 0)} shown to "
        f"somebody, {cover.watched:,} {_were(cover.watched)} chosen; half of all choices fall on "
        f"{counted(cover.half, 'item')}."
    )
    return _row("the catalogue", f"{percent(shown)} shown", words, shown >= _LITTLE_SHOWN)


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def _share_row(name: str, rate: Rate, words: str, limit: float) -> dict[str, Any]:
    if rate.shown < FEWEST_EVENTS or rate.viewers < FEWEST_VIEWERS:
        return _too_few(name, f"{rate.shown:,} of {counted(rate.viewers, 'viewer')}")
    band = f"Between {percent(rate.rate.low)} and {percent(rate.rate.high)}, with 95 % certainty,"
    return _row(name, percent(rate.rate.mean), f"{band} {words}", rate.rate.mean <= limit)


def _drift_row(name: str, drift: Drift) -> dict[str, Any]:
    mean, chance = figure(drift.divergence.mean), figure(drift.chance)
    if not drift.enough:
        row = _too_few(
            f"drift of {name}", f"{counted(drift.events, 'choice')} of {counted(drift.viewers, 'viewer')}"
        )
        if drift.events < FEWEST_EVENTS or drift.viewers < FEWEST_VIEWERS:
            return row
        return {**row, "words": f"Chance alone makes up to {chance} of so few choices, where 1 is the most."}
    said = (
        f"What is watched has moved away from what was learnt: {mean} (0 the same, 1 nothing in common), "
        f"where chance alone makes at most {chance}."
        if drift.drifted
        else f"No more than chance makes ({mean}, chance up to {chance})."
    )
    return _row(f"drift of {name}", "some" if drift.drifted else "none", said, not drift.drifted)
