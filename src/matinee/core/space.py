"""What a search may change: the values that one setting can take, and when it is there at all."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np

from matinee.core.errors import SpaceError

# Places between 0 and 1 tell so many whole numbers apart, rounding included.
_MOST_WHOLE = 2**40
# The setting exists only where another one has one of these values: that one's name, and the values.
When = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Choice:
    """One of a few values.

    Attributes:
        values: the values; one that stands here twice is drawn twice as often.
        when: the setting is there only where another one has one of these values; None: always.
        default: the value of today, tried first; None: nobody said.
    """

    values: tuple[Any, ...]
    when: When | None = None
    default: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _several(self.values, "values"))
        object.__setattr__(self, "when", _condition(self.when))
        if self.default is not None and not self.holds(self.default):
            raise SpaceError(f"expected one of {_listed(self.values)}, found {self.default!r}", key="default")

    def draw(self, random: np.random.Generator) -> Any:
        """One value, each as likely."""
        return self.values[int(random.integers(len(self.values)))]

    def holds(self, value: Any) -> bool:
        """Whether it is one of the values."""
        return any(same(value, known) for known in self.values)


@dataclass(frozen=True, kw_only=True)
class Span:
    """A range of numbers, both ends included.

    Attributes:
        low: the least value.
        high: the greatest value.
        log: whether to search its logarithm.
        whole: whether only whole numbers fit.
        when: the setting is there only where another one has one of these values; None: always.
        default: the value of today, tried first; None: nobody said.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False
    when: When | None = None
    default: float | None = None

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            _check_number(name, getattr(self, name), self.whole)
        if not (self.low <= self.high and math.isfinite(self.high - self.low)):
            raise SpaceError(f"expected {self.low} (low) or more, found {self.high}", key="high")
        if self.whole and max(abs(self.low), abs(self.high)) > _MOST_WHOLE:
            raise SpaceError(
                f"whole numbers go from -2**40 to 2**40, found {self.low} to {self.high}", key="high"
            )
        if self.log and self.low <= 0:
            raise SpaceError(
                f"a logarithm needs more than 0, found {self.low}: raise it, or leave log out", key="low"
            )
        object.__setattr__(self, "when", _condition(self.when))
        if self.default is not None and not self.holds(self.default):
            kind = "a whole number" if self.whole else "a number"
            raise SpaceError(
                f"expected {kind} from {self.low} to {self.high}, found {self.default!r}", key="default"
            )

    def draw(self, random: np.random.Generator) -> float | int:
        """One value, uniform over the range or over its logarithm."""
        if self.log:
            value = math.exp(random.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = random.uniform(self.low, self.high)
        # An exponential may round past an end.
        value = min(max(value, self.low), self.high)
        return round(value) if self.whole else float(value)

    def holds(self, value: Any) -> bool:
        """Whether it lies in the range."""
        if not is_number(value):
            return False
        return bool(self.low <= value <= self.high and (not self.whole or value == int(value)))


Space = Mapping[str, Choice | Span]


def draw(space: Space, random: np.random.Generator, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One random point of a space; what a condition leaves out is not there.

    Args:
        space: what may change.
        random: where the values are drawn from.
        given: settings that are not drawn; conditions look at them too.
    """
    given = given or {}
    found: dict[str, Any] = {}
    for name in in_order(space, given):
        values = space[name]
        if is_there(values, {**found, **given}):
            found[name] = values.draw(random)
    return found


def is_there(values: Choice | Span, settings: Mapping[str, Any]) -> bool:
    """Whether a setting is there beside these others."""
    if values.when is None:
        return True
    other, wanted = values.when
    return other in settings and any(same(settings[other], value) for value in wanted)


def in_order(space: Space, given: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """The settings' names in an order in which each comes after the one that its condition looks at.

    Names that no condition looks at stay as they stand.

    Args:
        space: what may change.
        given: settings beside the space; conditions may look at them.

    Raises:
        SpaceError: a condition looks at a setting that is not there, at a value that it never takes, or at
            itself, also by way of others.
    """
    given = given or {}
    order: dict[str, None] = {}
    for name in space:
        path: list[str] = []
        step: str | None = name
        while step is not None and step not in order:
            if step in path:
                ring = " -> ".join([*path[path.index(step) :], step])
                raise SpaceError(
                    f"conditions go round in a ring ({ring}): take one out", key="when", setting=step
                )
            path.append(step)
            when = _check_condition(step, space, given)
            step = when[0] if when and when[0] not in given else None
        order.update(dict.fromkeys(reversed(path)))
    return tuple(order)


def same(one: Any, other: Any) -> bool:
    """Whether two values of a setting are the same one; a list that was a tuple is, true is not 1."""
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    if isinstance(one, (int, float, str)) or isinstance(other, (int, float, str)):
        return bool(one == other)
    return json.dumps(one, default=repr, sort_keys=True) == json.dumps(other, default=repr, sort_keys=True)


def is_number(value: Any) -> bool:
    """Whether it is a finite number; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return False
    # A whole number may be larger than any float: no conversion before the comparison.
    size: Any = abs(value)
    return bool(size <= sys.float_info.max)


def _check_condition(name: str, space: Space, given: Mapping[str, Any]) -> When | None:
    when = space[name].when
    if when is None or when[0] in given:
        return when
    other, wanted = when
    problem = _never_met(other, wanted, space)
    if problem:
        raise SpaceError(problem, key="when", setting=name)
    return when


def _never_met(other: str, wanted: tuple[Any, ...], space: Space) -> str | None:
    """Why a condition makes no sense; None: it does."""
    if other not in space:
        near = get_close_matches(other, space, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(space))}"
        return f"there is no setting {other!r}: {hint}"
    values = space[other]
    if isinstance(values, Span) and not values.whole:
        return f"{other!r} takes any number of a range: expected one with values or whole numbers"
    for value in wanted:
        if not values.holds(value):
            known = _listed(values.values) if isinstance(values, Choice) else f"{values.low} to {values.high}"
            return f"{other!r} is never {value!r}: it can be {known}"
    return None


def _condition(when: Any) -> When | None:
    if when is None:
        return None
    if not (isinstance(when, (tuple, list)) and len(when) == 2 and isinstance(when[0], str)):
        raise SpaceError(f"expected another setting's name and its values, found {when!r}", key="when")
    return when[0], _several(when[1], "when")


def _several(values: Any, key: str) -> tuple[Any, ...]:
    if not isinstance(values, (tuple, list)) or not values:
        raise SpaceError(f"expected a list of at least one value, found {values!r}", key=key)
    return tuple(values)


def _check_number(key: str, value: Any, whole: bool) -> None:
    if not is_number(value) or (whole and value != int(value)):
        raise SpaceError(f"expected a {'whole' if whole else 'finite'} number, found {value!r}", key=key)


def _listed(values: tuple[Any, ...]) -> str:
    return ", ".join(repr(value) for value in values)
