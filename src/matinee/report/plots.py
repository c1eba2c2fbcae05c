"""Plots of one figure against another as SVG: dots, and a line of steps through some of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from matinee.report.charts import round_ticks, tick_words

_WIDTH, _HEIGHT = 720, 300
_LEFT, _RIGHT, _TOP, _FOOT = 64, 20, 12, 46
_MOST_TICKS = 6


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One dot.

    Attributes:
        x: where it is from left to right; above 0 on a logarithmic axis.
        y: how high it is.
        words: what is said of it to whoever points at it; any text.
        strong: whether it is one to look at.
    """

    x: float
    y: float
    words: str
    strong: bool = False


def plot(
    marks: Sequence[Mark],
    across: str,
    upward: str,
    *,
    steps: Sequence[tuple[float, float]] = (),
    log: bool = False,
) -> str:
    """A plot of dots.

    A few values far below all others do not press these together: they stand at the lower edge.

    Args:
        marks: the dots.
        across: what the axis from left to right measures.
        upward: what the other one measures.
        steps: corners of a line that goes right, then up, from each to the next.
        log: whether the axis from left to right is logarithmic.

    Returns:
        An `<svg>` element as text, every word in it escaped; empty without marks.
    """
    if not marks:
        return ""
    xs, ys = [mark.x for mark in marks], [mark.y for mark in marks]
    x_ticks = _log_ticks(min(xs), max(xs)) if log else round_ticks(min(0.0, *xs), max(xs), _MOST_TICKS)
    y_ticks = round_ticks(_floor(ys), max(ys), _MOST_TICKS)
    at_x = _place(x_ticks, _LEFT, _WIDTH - _RIGHT, log=log)
    at_y = _place(y_ticks, _HEIGHT - _FOOT, _TOP)
    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" xmlns="http://www.w3.org/2000/svg" '
        f'aria-label="{escape(f"{upward} by {across}", quote=True)}">',
        *_axes(x_ticks, y_ticks, at_x, at_y),
        f'<text class="tick" x="{_LEFT}" y="{_HEIGHT - 8}">{escape(across)}</text>',
    ]
    if len(steps) > 1:
        parts.append(_line([(at_x(x), at_y(y)) for x, y in steps]))
    # What is to be looked at lies above the rest.
    for mark in sorted(marks, key=lambda one: one.strong):
        kind = "strong" if mark.strong else "plain"
        where = f'cx="{at_x(mark.x):.1f}" cy="{at_y(mark.y):.1f}" r="{5 if mark.strong else 3.5}"'
        parts.append(f'<g class="{kind}"><title>{escape(mark.words)}</title><circle {where}/></g>')
    return "".join(parts) + "</svg>"


def _axes(
    x_ticks: Sequence[float],
    y_ticks: Sequence[float],
    at_x: Callable[[float], float],
    at_y: Callable[[float], float],
) -> list[str]:
    parts = []
    for tick in y_ticks:
        y = at_y(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        words = tick_words(tick)
        parts.append(f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{words}</text>')
    for tick in x_ticks:
        where = f'x="{at_x(tick):.1f}" y="{_HEIGHT - _FOOT + 16}"'
        words = f"{tick:.6g}" if tick >= 1e-4 or tick == 0 else f"{tick:.0e}"
        parts.append(f'<text class="tick" {where} text-anchor="middle">{words}</text>')
    return parts


def _line(corners: Sequence[tuple[float, float]]) -> str:
    """A line that goes right, then up."""
    first, *others = corners
    path = f"M{first[0]:.1f} {first[1]:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in others)
    return f'<g class="strong"><path class="interval" fill="none" d="{path}"/></g>'


def _place(
    ticks: Sequence[float], start: float, end: float, *, log: bool = False
) -> Callable[[float], float]:
    """From a figure to a place between two, those of the outer ticks; never beyond them."""

    def scaled(value: float) -> float:
        return math.log(max(value, 1e-300)) if log else value

    low, high = scaled(ticks[0]), scaled(ticks[-1])

    def place(value: float) -> float:
        share = (scaled(value) - low) / (high - low)
        return start + min(1.0, max(0.0, share)) * (end - start)

    return place


def _log_ticks(low: float, high: float) -> list[float]:
    """Round numbers that span a range of logarithms: powers of ten, or 1, 2, 5 where these are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    last = max(last, first + 1)
    powers = [10.0**power for power in range(first, last + 1)]
    if len(powers) > 3:
        return powers[:: math.ceil(len(powers) / _MOST_TICKS)] + (
            [powers[-1]] if (len(powers) - 1) % math.ceil(len(powers) / _MOST_TICKS) else []
        )
    every = sorted({power * times for power in powers for times in (1, 2, 5)})
    start = max(place for place, tick in enumerate(every) if tick <= low)
    end = min((place for place, tick in enumerate(every) if tick >= high), default=len(every) - 1)
    return every[start : max(end, start + 1) + 1]


def _floor(values: Sequence[float]) -> float:
    """The least value that is shown: not far below the middle, seen from the best."""
    ordered = sorted(values)
    best, middle = ordered[-1], ordered[len(ordered) // 2]
    return max(ordered[0], best - 4 * (best - middle)) if best > middle else ordered[0]
