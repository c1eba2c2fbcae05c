"""Numbers and units as people read them."""

from __future__ import annotations

import math


def figure(value: float | None, digits: int = 3) -> str:
    """A share without its leading zero, such as .171; a dash where there is none."""
    if value is None:
        return "–"
    words = f"{value:.{digits}f}"
    return words.replace("0.", ".", 1) if abs(value) < 1 else words


def seconds(value: float | None) -> str:
    """A duration from seconds."""
    if value is None:
        return "–"
    if value < 10:
        return f"{value:.1f} s"
    if value < 600:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 36_000 else f"{value / 3600:.0f} h"


def milliseconds(value: float | None) -> str:
    """A duration from milliseconds."""
    if value is None:
        return "–"
    return f"{value:.2f} ms" if value < 10 else f"{value:.0f} ms"


def megabytes(value: float | None) -> str:
    """An amount of memory from MB."""
    if value is None:
        return "–"
    return f"{value:.0f} MB" if value < 1_000 else f"{value / 1024:.1f} GB"


def dollars(value: float | None) -> str:
    """An amount of money."""
    if value is None:
        return "–"
    if value >= 0.01:
        return f"${value:.2f}"
    return "< 1 ¢" if value else "$0"


def money(value: float) -> str:
    """A small amount of money: to a hundredth of a cent; where it is less than that, two digits of it."""
    if value >= 1:
        return f"${value:.2f}"
    digits = 4 if value == 0 or abs(value) >= 1e-4 else min(12, 1 - math.floor(math.log10(abs(value))))
    return f"${value:.{digits}f}"


def probability(value: float | None) -> str:
    """A p value; a dash where the pair is outside the family that was tested."""
    if value is None:
        return "–"
    return "< .001" if value < 0.001 else f"{value:.3f}".replace("0.", ".", 1)


def percent(value: float | None) -> str:
    """A share as percent."""
    return "–" if value is None else f"{100 * value:.1f} %"


def counted(number: int, noun: str) -> str:
    """A number of things: `1 viewer`, `1,200 viewers`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def p_words(p: float) -> str:
    """The chance of a test, as papers write it: `p = .034`, `p < .001`."""
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".", 1)
