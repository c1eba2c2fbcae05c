"""Charts as SVG, written by plain functions: a dot for the mean, a line for its interval.

Colours are CSS variables of the page (`--ink`, `--soft`, `--accent`), so that a chart follows light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from matinee.report.numbers import figure

_ROW = 30
_TOP = 8
_FOOT = 34
_WIDTH, _NARROW = 720, 300
_OF_SHARES = 3
_RIGHT = 64
_LETTER, _SMALL_LETTER = 7.4, 6.0
_MOST_TICKS = 6


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One row of a chart.

    Attributes:
        label: what it is; any text.
        mean: where the dot goes.
        low: where its interval starts.
        high: where its interval ends.
        strong: whether it is the one to look at.
    """

    label: str
    mean: float
    low: float
    high: float
    strong: bool = False


def dot_chart(
    dots: Sequence[Dot], title: str, *, zero: bool = True, width: int = _WIDTH, digits: int = _OF_SHARES
) -> str:
    """A dot-and-interval chart.

    Args:
        dots: the rows, from top to bottom.
        title: what the axis measures; read out to those who cannot see.
        zero: whether the axis must hold 0, with a line there.
        width: of the drawing; the same letters look larger in a narrow one, which is what a phone needs.
        digits: of the figures, after the point.

    Returns:
        An `<svg>` element as text; every word in it is escaped.
    """
    if not dots:
        return ""
    left = min(260.0, 0.45 * width, 16 + _LETTER * max(len(dot.label) for dot in dots))
    ticks = round_ticks(
        min([dot.low for dot in dots] + ([0.0] if zero else [])),
        max([dot.high for dot in dots] + ([0.0] if zero else [])),
        _MOST_TICKS if width >= _WIDTH else _MOST_TICKS // 2,
    )
    height = _TOP + _ROW * len(dots) + _FOOT

    def place(value: float) -> float:
        return left + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (width - _RIGHT - left)

    bottom = _TOP + _ROW * len(dots)
    parts = [
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" xmlns="http://www.w3.org/2000/svg" '
        f'aria-label="{escape(title, quote=True)}">'
    ]
    for tick in ticks:
        x = place(tick)
        kind = "zero" if zero and tick == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}"/>')
        where = f'x="{x:.1f}" y="{bottom + 16}"'
        parts.append(f'<text class="tick" {where} text-anchor="middle">{tick_words(tick)}</text>')
    # A long title needs the room below the labels, too.
    begins = left if left + _SMALL_LETTER * len(title) <= width else 0.0
    parts.append(f'<text class="tick" x="{begins:.1f}" y="{bottom + 30}">{escape(title)}</text>')
    for row, dot in enumerate(dots):
        parts.append(_row(dot, _TOP + _ROW * row + _ROW / 2, left, place, digits))
    return "".join(parts) + "</svg>"


def dot_charts(
    dots: Sequence[Dot], title: str, *, short: str = "", zero: bool = True, digits: int = _OF_SHARES
) -> str:
    """A dot chart for wide windows and one for a phone's: the style of the page shows one of them.

    Args:
        dots: the rows.
        title: what the axis measures.
        short: the same in fewer words, for the narrow one.
        zero: whether the axis must hold 0, with a line there.
        digits: of the figures, after the point.

    Returns:
        Two elements with the classes `wide` and `narrow`, as text; empty without dots.
    """
    if not dots:
        return ""
    wide = dot_chart(dots, title, zero=zero, digits=digits)
    narrow = dot_chart(dots, short or title, zero=zero, width=_NARROW, digits=digits)
    return f'<div class="wide">{wide}</div><div class="narrow">{narrow}</div>'


def _row(dot: Dot, y: float, left: float, at: Callable[[float], float], digits: int) -> str:
    letters = min(32, int((left - 12) / (_LETTER if dot.strong else 6.9)))
    x, low, high = (at(value) for value in (dot.mean, dot.low, dot.high))
    kind = "strong" if dot.strong else "plain"
    mean, least, most = (_words(value, digits) for value in (dot.mean, dot.low, dot.high))
    label = dot.label if len(dot.label) <= letters else dot.label[: letters - 1] + "…"
    return (
        f'<g class="{kind}"><title>{escape(dot.label)}: {mean} ({least} to {most})</title>'
        f'<text class="label" x="{left - 12:.1f}" y="{y + 4:.1f}" text-anchor="end">{escape(label)}</text>'
        f'<line class="interval" x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
        f'<text class="value" x="{high + 10:.1f}" y="{y + 4:.1f}">{mean}</text></g>'
    )


def _words(value: float, digits: int) -> str:
    """A share without its leading zero; what has fewer digits is no share, and keeps it."""
    return figure(value, digits) if digits >= _OF_SHARES else f"{value:.{digits}f}"


def round_ticks(low: float, high: float, most: int = _MOST_TICKS) -> list[float]:
    """Round numbers that span a range, with about `most` steps between them at most."""
    span = high - low
    if span < 1e-6 * max(1.0, abs(high)):  # a single value, or nearly
        low, high, span = low - 0.5, high + 0.5, 1.0
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(power * times for times in (1, 2, 2.5, 5, 10) if span / (power * times) <= most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * place, 12) for place in range(first, max(last, first + 1) + 1)]


def tick_words(tick: float) -> str:
    """A tick as a share is written, without its leading zero."""
    return f"{tick:.6f}".rstrip("0").rstrip(".").replace("0.", ".", 1) if tick else "0"
