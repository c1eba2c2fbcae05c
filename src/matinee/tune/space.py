"""A space as a cube: settings become points between 0 and 1, and points become settings.

Numbers of a range have one column, by their logarithm where the space says so; whole numbers have as many
equal bins of it as there are numbers (of the logarithm: from half below the least to half above the
greatest). Two values have one column, 0 and 1; more values have one column each, one of them 1, unless they
are numbers in rising or falling order: those have one column of equal bins. A setting with one value has no
column. Where a condition leaves a setting out, its columns are 1/2, so that points which differ there alone
are the same point.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from matinee.core.errors import SettingsError
from matinee.core.space import Choice, Space, Span, in_order, is_number, is_there, same
from matinee.core.types import Bool, Float64, Int64

_LEFT_OUT = 0.5


@dataclass(frozen=True)
class Cube:
    """The points of a space; made by `Cube.of`.

    Attributes:
        space: what it stands for.
        columns: name -> the columns of that setting, in the space's order; none for a setting with one value.
        n: how many columns there are.
        free: bool, shape (n,): columns whose every place is a value, so that a gradient may move them.
    """

    space: Space
    columns: Mapping[str, slice]
    n: int
    free: Bool
    _axes: Mapping[str, _Axis]
    _order: tuple[str, ...]

    @classmethod
    def of(cls, space: Space) -> Cube:
        """The cube of a space.

        Raises:
            SettingsError: a condition cannot be met, or conditions go round in a ring.
        """
        order = in_order(space)
        axes = {name: _axis(values) for name, values in space.items()}
        ends = np.cumsum([axis.width for axis in axes.values()], dtype=np.int64).tolist()
        columns = {
            name: slice(end - axis.width, end) for (name, axis), end in zip(axes.items(), ends, strict=True)
        }
        free = [isinstance(axis, _Range) for axis in axes.values() for _ in range(axis.width)]
        return cls(dict(space), columns, len(free), np.array(free, dtype=np.bool_), axes, order)

    def encode(self, settings: Mapping[str, Any]) -> Float64:
        """The point of some settings: float64, shape (n,), each from 0 to 1.

        Numbers outside of their range go to its nearer end, numbers between two values to the nearest. Names
        that the space has not are passed over.

        Raises:
            SettingsError: a setting is missing though its condition is met, or has a value that is none of
                its own.
        """
        point = np.full(self.n, _LEFT_OUT)
        known: dict[str, Any] = {}
        for name in self._order:
            if not is_there(self.space[name], known):
                continue
            if name not in settings:
                raise SettingsError(f"{name}: expected a value, found none: give it one.")
            known[name] = settings[name]
            try:
                point[self.columns[name]] = self._axes[name].place(settings[name])
            except SettingsError as error:
                raise SettingsError(f"{name}: {error}") from error
        return point

    def decode(self, point: Float64) -> dict[str, Any]:
        """The settings nearest to a point, shape (n,); what a condition leaves out is not there."""
        found: dict[str, Any] = {}
        for name in self._order:
            if is_there(self.space[name], found):
                found[name] = self._axes[name].read(np.asarray(point, dtype=np.float64)[self.columns[name]])
        return {name: found[name] for name in self.space if name in found}

    def snap(self, points: Float64) -> Float64:
        """The same points at the nearest places that stand for settings: float64, shape (m, n)."""
        snapped = np.array(points, dtype=np.float64)
        for name in self._order:
            columns, axis = self.columns[name], self._axes[name]
            snapped[:, columns] = axis.snap(snapped[:, columns])
        self._leave_out(snapped)
        return snapped

    def draw(self, m: int, random: np.random.Generator) -> Float64:
        """Random points that stand for settings, as `draw` of the space draws them: float64, shape (m, n).

        Whole numbers are drawn alike often here, the ends too.
        """
        points = np.empty((m, self.n))
        for name, axis in self._axes.items():
            points[:, self.columns[name]] = axis.draw(m, random)
        self._leave_out(points)
        return points

    @cached_property
    def _wanted(self) -> Mapping[str, tuple[str, tuple[Any, ...]]]:
        return {name: when for name in self._order if (when := self.space[name].when) is not None}

    def _leave_out(self, points: Float64) -> None:
        """Write 1/2 where a condition is not met; the points are snapped."""
        there: dict[str, Bool] = {}
        everywhere = np.ones(len(points), dtype=np.bool_)
        for name, (other, wanted) in self._wanted.items():
            met = self._axes[other].among(points[:, self.columns[other]], wanted)
            there[name] = met & there.get(other, everywhere)
        for name, rows in there.items():
            points[~rows, self.columns[name]] = _LEFT_OUT


def default_settings(space: Space) -> dict[str, Any] | None:
    """The values of today: each setting's default, the middle of the others; None: there is no default."""
    if all(values.default is None for values in space.values()):
        return None
    cube = Cube.of(space)
    point = np.full(cube.n, 0.5)
    for name, values in space.items():
        if values.default is not None:
            point[cube.columns[name]] = cube._axes[name].place(values.default)
    return cube.decode(point)


class _Axis(Protocol):
    """The columns of one setting."""

    @property
    def width(self) -> int:
        """How many columns."""

    def place(self, value: Any) -> Any:
        """The columns of a value."""

    def read(self, place: Float64) -> Any:
        """The value nearest to columns of shape (width,)."""

    def snap(self, places: Float64) -> Float64:
        """Columns of shape (m, width) where a value is."""

    def draw(self, m: int, random: np.random.Generator) -> Float64:
        """Columns of shape (m, width) of random values."""

    def among(self, places: Float64, wanted: tuple[Any, ...]) -> Bool:
        """Whether snapped columns of shape (m, width) stand for one of these values: shape (m,)."""


@dataclass(frozen=True)
class _Range:
    """Numbers from low to high."""

    low: float
    high: float
    log: bool
    width: int = 1

    def place(self, value: Any) -> float:
        low, high, at = _warped((self.low, self.high, _within(value, self.low, self.high)), self.log)
        return min(max((at - low) / (high - low), 0.0), 1.0)

    def read(self, place: Float64) -> float:
        low, high = _warped((self.low, self.high), self.log)
        at = low + float(min(max(place[0], 0.0), 1.0)) * (high - low)
        return min(max(math.exp(at) if self.log else at, self.low), self.high)

    def snap(self, places: Float64) -> Float64:
        return np.clip(places, 0.0, 1.0)

    def draw(self, m: int, random: np.random.Generator) -> Float64:
        return random.random((m, 1))

    def among(self, places: Float64, wanted: tuple[Any, ...]) -> Bool:
        del places, wanted
        raise AssertionError("in_order refuses conditions on a range")


@dataclass(frozen=True)
class _WholeRange:
    """Whole numbers from low to high, low < high."""

    low: int
    high: int
    log: bool
    width: int = 1

    def place(self, value: Any) -> float:
        return float(
            self._places(np.array([round(_within(value, self.low, self.high))], dtype=np.float64))[0]
        )

    def read(self, place: Float64) -> int:
        return int(self._numbers(place)[0])

    def snap(self, places: Float64) -> Float64:
        return self._places(self._numbers(places))

    def draw(self, m: int, random: np.random.Generator) -> Float64:
        if self.log:
            return self.snap(random.random((m, 1)))
        return self._places(random.integers(self.low, self.high + 1, (m, 1)).astype(np.float64))

    def among(self, places: Float64, wanted: tuple[Any, ...]) -> Bool:
        return np.isin(self._numbers(places[:, 0]), np.array(wanted, dtype=np.float64))

    def _ends(self) -> tuple[float, float]:
        low, high = _warped((self.low - 0.5, self.high + 0.5), self.log)
        return low, high

    def _places(self, numbers: Float64) -> Float64:
        low, high = self._ends()
        return ((np.log(numbers) if self.log else numbers) - low) / (high - low)

    def _numbers(self, places: Float64) -> Float64:
        low, high = self._ends()
        at = low + places * (high - low)
        return np.clip(np.rint(np.exp(at) if self.log else at), self.low, self.high)


@dataclass(frozen=True)
class _Values:
    """One of k values, each with how often it stands there; ordered ones have one column."""

    values: tuple[Any, ...]
    shares: tuple[float, ...]
    ordered: bool

    @property
    def width(self) -> int:
        if len(self.values) == 1:
            return 0
        return 1 if self.ordered or len(self.values) == 2 else len(self.values)

    def place(self, value: Any) -> Float64:
        at = [same(value, known) for known in self.values]
        if any(at):
            index = at.index(True)
        elif self.ordered and is_number(value):
            index = int(np.argmin(np.abs(np.array(self.values, dtype=np.float64) - value)))
        else:
            known = ", ".join(repr(known) for known in self.values)
            raise SettingsError(f"expected one of {known}, found {value!r}.")
        place: Float64 = self._places(np.array([index]))[0]
        return place

    def read(self, place: Float64) -> Any:
        return self.values[int(self._indices(place[None])[0])]

    def snap(self, places: Float64) -> Float64:
        return self._places(self._indices(places))

    def draw(self, m: int, random: np.random.Generator) -> Float64:
        return self._places(random.choice(len(self.values), m, p=self.shares))

    def among(self, places: Float64, wanted: tuple[Any, ...]) -> Bool:
        allowed = [any(same(known, value) for value in wanted) for known in self.values]
        rows: Bool = np.array(allowed, dtype=np.bool_)[self._indices(places)]
        return rows

    def _places(self, indices: Int64) -> Float64:
        k = len(self.values)
        if self.width == 1:
            return ((indices if k == 2 else (indices + 0.5) / k).astype(np.float64))[:, None]
        places: Float64 = np.eye(k)[indices][:, : self.width]
        return places

    def _indices(self, places: Float64) -> Int64:
        k = len(self.values)
        if self.width == 0:
            return np.zeros(len(places), dtype=np.int64)
        if self.width == 1:
            return np.clip(np.floor(places[:, 0] * k), 0, k - 1).astype(np.int64)
        nearest: Int64 = np.argmax(places, axis=1).astype(np.int64)
        return nearest


def _axis(values: Choice | Span) -> _Axis:
    if isinstance(values, Span):
        return _span_axis(values)
    distinct: list[Any] = []
    counts: list[int] = []
    for value in values.values:
        at = [same(value, known) for known in distinct]
        if any(at):
            counts[at.index(True)] += 1
        else:
            distinct.append(value)
            counts.append(1)
    total = len(values.values)
    return _Values(tuple(distinct), tuple(count / total for count in counts), _in_a_row(distinct))


def _span_axis(span: Span) -> _Axis:
    low, high = _warped((span.low, span.high), span.log)
    if low == high:
        return _Values((int(span.low) if span.whole else float(span.low),), (1.0,), True)
    if span.whole:
        return _WholeRange(int(span.low), int(span.high), span.log)
    return _Range(float(span.low), float(span.high), span.log)


def _in_a_row(values: list[Any]) -> bool:
    """Whether values are numbers that rise or fall."""
    if not all(is_number(value) for value in values):
        return False
    steps = np.diff(np.array(values, dtype=np.float64))
    return bool(np.all(steps > 0) or np.all(steps < 0))


def _within(value: Any, low: float, high: float) -> float:
    if not is_number(value):
        raise SettingsError(f"expected a number from {low} to {high}, found {value!r}.")
    return min(max(float(value), low), high)


def _warped(numbers: tuple[float, ...], log: bool) -> list[float]:
    return [math.log(number) if log else float(number) for number in numbers]
