"""How far a recipe is, in words and as a share, also within one fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import perf_counter

from matinee.core.electricity import electricity_dollars
from matinee.core.run import Step
from matinee.report.numbers import figure, money

Progress = Callable[[str, float], None]
"""Called with what is being done and the share that is done, 0 to 1."""


class Slot:
    """One fit's stretch of a bar.

    Args:
        name: what is fitted.
        progress: the bar.
        start: the share where the stretch begins.
        end: the share where it ends.
    """

    def __init__(self, name: str, progress: Progress, start: float, end: float) -> None:
        self.name = name
        self._progress, self._start, self._end = progress, start, end
        self._begin = perf_counter()
        progress(name, start)

    def tell(self, step: Step) -> None:
        """Say how far the fit is."""
        words = step_words(self.name, step, perf_counter() - self._begin)
        share = min(max(step.share, 0.0), 1.0)
        self._progress(words, self._start + (self._end - self._start) * share)

    def split(self, parts: int) -> Iterator[Slot]:
        """Stretches of equal length, one after the other."""
        step = (self._end - self._start) / parts
        for place in range(parts):
            start = self._start + place * step
            yield Slot(self.name, self._progress, start, start + step)


def slots(names: Sequence[str], costs: Sequence[float], progress: Progress, end: float) -> Iterator[Slot]:
    """One stretch for each name, as long as its cost's share; each begins when it is asked for.

    Args:
        names: what is fitted.
        costs: what each is expected to cost.
        progress: the bar.
        end: the share where the last one ends.
    """
    done, whole = 0.0, sum(costs)
    for name, cost in zip(names, costs, strict=True):
        yield Slot(name, progress, end * done / whole, end * (done + cost) / whole)
        done += cost


def step_words(name: str, step: Step, wall_s: float) -> str:
    """A step as a person reads it: `sequential: pass 3 of 12, loss 5.82, ndcg@10 .171, 2:10 left, $0.0004`.

    Args:
        name: what is fitted.
        step: what the fit says of itself.
        wall_s: wall seconds that the fit has taken, which electricity is paid for.
    """
    words = [step.doing]
    if step.loss is not None:
        words.append(f"loss {step.loss:.2f}")
    if step.validation is not None:
        words.append(f"{step.validation[0]} {figure(step.validation[1])}")
    if step.left_s is not None:
        words.append(f"{clock_words(step.left_s)} left")
    words.append(money(electricity_dollars(wall_s)))
    return f"{name}: {', '.join(words)}"


def clock_words(seconds: float) -> str:
    """A duration as a clock shows it: `2:10`, `1:02:10`."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
