"""A figure as it came in, with the band in which the truth lies: one SVG, written by a plain function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from matinee.report.numbers import figure

_LEFT, _RIGHT, _TOP, _FOOT = 40.0, 12.0, 12.0, 32.0
_MOST_POINTS = 240


@dataclass(frozen=True, kw_only=True)
class Band:
    """One point: a mean and its interval, in the order in which they came."""

    mean: float
    low: float
    high: float


def band_chart(
    points: Sequence[Band], title: str, *, ends: tuple[float, float], width: int = 720, height: int = 240
) -> str:
    """A line within its band, from the first point to the last.

    Args:
        points: the points, oldest first; of very many, evenly spread ones are drawn, the last among them.
        title: what is drawn, and what counts to the right; read out to those who cannot see.
        ends: lowest and highest value of the axis; what lies beyond is cut off there. 0 gets a line.
        width: of the drawing; the same letters look larger in a narrow one.
        height: of the drawing.

    Returns:
        An `<svg>` element as text; every word in it is escaped. Empty without points.
    """
    if not points:
        return ""
    drawn = [(place, points[place]) for place in _spread(len(points))]
    low, high = ends
    right, bottom = width - _RIGHT, height - _FOOT

    def x(place: int) -> float:
        return _LEFT + (right - _LEFT) * (place / (len(points) - 1) if len(points) > 1 else 0.5)

    def y(value: float) -> float:
        held = min(max(value, low), high)
        return bottom - (bottom - _TOP) * (held - low) / (high - low)

    over = [f"{x(place):.1f},{y(one.high):.1f}" for place, one in drawn]
    under = [f"{x(place):.1f},{y(one.low):.1f}" for place, one in reversed(drawn)]
    line = " ".join(f"{x(place):.1f},{y(one.mean):.1f}" for place, one in drawn)
    last = points[-1]
    parts = [
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" xmlns="http://www.w3.org/2000/svg" '
        f'aria-label="{escape(title, quote=True)}: {figure(last.mean)} ({figure(last.low)} to '
        f'{figure(last.high)})">'
    ]
    for value in sorted({low, (low + high) / 2, high, *([0.0] if low <= 0 <= high else [])}):
        kind = "zero" if value == 0 else "grid"
        parts.append(
            f'<line class="{kind}" x1="{_LEFT}" x2="{right}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        )
        where = f'x="{_LEFT - 8}" y="{y(value) + 4:.1f}"'
        parts.append(f'<text class="tick" {where} text-anchor="end">{_words(value)}</text>')
    parts.append(f'<polygon class="band" points="{" ".join(over + under)}"/>')
    parts.append(f'<polyline class="line" points="{line}"/>')
    parts.append(f'<circle class="last" cx="{x(len(points) - 1):.1f}" cy="{y(last.mean):.1f}" r="5"/>')
    parts.append(f'<text class="tick" x="{_LEFT}" y="{height - 10}">{escape(title)}</text>')
    return "".join(parts) + "</svg>"


def _spread(n: int) -> list[int]:
    if n <= _MOST_POINTS:
        return list(range(n))
    return sorted({round(place * (n - 1) / (_MOST_POINTS - 1)) for place in range(_MOST_POINTS)})


def _words(value: float) -> str:
    return f"{value:+g}" if value else "0"
