"""Comparisons of bundles on living people: begun, ended, and read on any day with the same right.

A witness is a viewer, and brings one value: of the answers shown in the viewer's first day of the experiment,
the share that was followed by a click within that day. Whoever's first day is not over does not count yet, so
that a value never changes once it has been looked at; `matinee.core.anytime` says what follows from them.
Viewers whom chance did not send into the arms as it was told to spoil every comparison: that is tested, too.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from matinee.core.anytime import ALPHA, Sequential, Tally, difference_of, mean_of, tally, tally_hits
from matinee.report.numbers import counted, figure, percent
from matinee.serve.attribution import Followed, ShownAnswer, followed
from matinee.serve.experiments import EXPERIMENTS_NOTE, Experiment, read_experiments, write_experiments
from matinee.serve.recommendation_id import LONGEST_NAME
from matinee.serve.refusals import Conflict, NotFound, Refusal
from matinee.serve.shadow import ShadowFigures
from matinee.serve.store import Store, secret_of

DAY_MS = 86_400_000
# A ratio of arms is only doubted on strong evidence: it makes every other figure worthless.
_RATIO_ALPHA = 0.001


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One arm.

    Attributes:
        name: the arm.
        bundle: what answers there.
        share: the share of viewers that it was to get.
        viewers: viewers with an answer shown in it.
        settled: those of them whose first day is over: the witnesses.
        rate: their mean, with an interval that may be looked at any day; None where nobody settled.
    """

    name: str
    bundle: str
    share: float
    viewers: int
    settled: int
    rate: Sequential | None


@dataclass(frozen=True, kw_only=True)
class Result:
    """What an experiment says today.

    Attributes:
        experiment: the experiment.
        arms: its arms, the first of them the one that the others are compared with.
        differences: other arm -> how much larger its mean is than the first one's.
        ratio: the evidence that viewers were not split as they should be; 1 or less is none.
        crossed: viewers with answers of several arms, who are left out.
        sentence: what it comes to.
    """

    experiment: Experiment
    arms: tuple[Arm, ...]
    differences: Mapping[str, Sequential]
    ratio: float
    crossed: int
    sentence: str

    @property
    def ratio_is_off(self) -> bool:
        """Whether nothing here can be trusted, because the arms did not get their shares."""
        return self.ratio >= 1 / _RATIO_ALPHA


@dataclass(frozen=True, kw_only=True)
class ShadowResult:
    """How a shadow differs from what was shown.

    Attributes:
        bundle: the shadow.
        answers: answers compared.
        overlap: the share of shown items that it would have shown too.
        cpu_ms: what asking it took, for each answer.
        sentence: what it comes to.
    """

    bundle: str
    answers: int
    overlap: float
    cpu_ms: float
    sentence: str


async def experiments_of(store: Store) -> tuple[Experiment, ...]:
    """Every experiment that a store knows, those that are over included."""
    return read_experiments(await store.note(EXPERIMENTS_NOTE))


async def create(store: Store, experiment: Experiment, *, now_ms: int) -> Experiment:
    """Begin an experiment: every process of a server splits viewers from now on.

    Args:
        store: the server's store.
        experiment: what is compared; it begins now.
        now_ms: the moment.

    Raises:
        Conflict: there has been one of this name: its viewers are not fresh.
        Refusal: it makes no sense, its names are too long, or another one splits the same alias.
    """
    for arm in experiment.arms:
        if len(f"{experiment.name}/{arm}".encode()) > LONGEST_NAME:
            raise Refusal(
                f"Experiment and arm together are at most {LONGEST_NAME - 1} letters, found "
                f"{experiment.name!r} and {arm!r}: answers bear both in their ids."
            )
    begun = replace(experiment, running=True, since_ms=now_ms)

    def with_it(note: str | None) -> str:
        known = read_experiments(note)
        if any(one.name == begun.name for one in known):
            raise Conflict(f"There has been an experiment {begun.name!r}: give this one its own name.")
        return write_experiments([*known, begun])

    await store.change_note(EXPERIMENTS_NOTE, with_it)
    return begun


async def stop(store: Store, name: str) -> Experiment:
    """End an experiment: everybody is answered by the alias's bundle again; what it found stays.

    Raises:
        NotFound: there is none of this name.
    """
    over: list[Experiment] = []

    def ended(note: str | None) -> str:
        known = read_experiments(note)
        over[:] = [replace(one, running=False) for one in known if one.name == name]
        if not over:
            names = ", ".join(repr(one.name) for one in known) or "none"
            raise NotFound(f"There is no experiment {name!r}: there are {names}.")
        return write_experiments([over[0] if one.name == name else one for one in known])

    await store.change_note(EXPERIMENTS_NOTE, ended)
    return over[0]


async def results(store: Store, *, now_ms: int) -> list[Result]:
    """What every experiment of a store says today, the oldest first.

    It reads everything that was shown since the first of them began: ask seldom. Others are
    answered meanwhile.

    Args:
        store: the server's store.
        now_ms: the moment of looking.
    """
    known = await experiments_of(store)
    secret = await store.note("secret")
    if not known or secret is None:
        return [result_of(one, Followed(), now_ms=now_ms) for one in known]
    since_ms = min(one.since_ms for one in known)
    found = await followed(store, secret=secret_of({"secret": secret}), since_ms=since_ms)
    return await asyncio.to_thread(lambda: [result_of(one, found, now_ms=now_ms) for one in known])


def result_of(experiment: Experiment, found: Followed, *, now_ms: int) -> Result:
    """What an experiment says today.

    Args:
        experiment: the experiment.
        found: what was shown since it began, and what followed.
        now_ms: the moment of looking.
    """
    shown = _by_viewer(experiment, found)
    crossed = [user for user, answers in shown.items() if len({_arm(one) for one in answers}) > 1]
    for user in crossed:
        del shown[user]
    values: dict[str, list[float]] = defaultdict(list)
    viewers: dict[str, int] = defaultdict(int)
    for answers in shown.values():
        arm = _arm(answers[0])
        viewers[arm] += 1
        value = _value(answers, now_ms)
        if value is not None:
            values[arm].append(value)
    arms = tuple(_arm_of(experiment, name, viewers[name], values[name]) for name in experiment.arms)
    tallies = {name: tally(values[name]) for name in experiment.arms}
    names = list(experiment.arms)
    # Several arms against the first are several chances to be wrong.
    alpha = ALPHA / max(1, len(names) - 1)
    differences = {name: _difference(tallies[names[0]], tallies[name], alpha) for name in names[1:]}
    result = Result(
        experiment=experiment,
        arms=arms,
        differences=differences,
        ratio=_ratio(experiment, viewers),
        crossed=len(crossed),
        sentence="",
    )
    return replace(result, sentence=_sentence(result))


def shadow_results(figures: Mapping[str, ShadowFigures]) -> list[ShadowResult]:
    """What the shadows of this process came to."""
    return [_shadow(name, one) for name, one in sorted(figures.items())]


def _by_viewer(experiment: Experiment, found: Followed) -> dict[str, list[ShownAnswer]]:
    """The answers of an experiment, viewer by viewer, the first one first."""
    shown: dict[str, list[ShownAnswer]] = defaultdict(list)
    for answer in sorted(found.answers.values(), key=lambda one: one.time_ms):
        name, _, arm = answer.told.arm.partition("/")
        if name == experiment.name and arm in experiment.arms and answer.time_ms >= experiment.since_ms:
            shown[answer.user].append(answer)
    return dict(shown)


def _arm(answer: ShownAnswer) -> str:
    return answer.told.arm.partition("/")[2]


def _value(answers: Sequence[ShownAnswer], now_ms: int) -> float | None:
    """What a viewer brings: None as long as the first day is not over."""
    end = answers[0].time_ms + DAY_MS
    if now_ms < end:
        return None
    first = [one for one in answers if one.time_ms < end]
    return sum(any(time < end for time in one.clicks.values()) for one in first) / len(first)


def _arm_of(experiment: Experiment, name: str, viewers: int, values: Sequence[float]) -> Arm:
    return Arm(
        name=name,
        bundle=experiment.arms[name],
        share=experiment.shares[name],
        viewers=viewers,
        settled=len(values),
        rate=mean_of(tally(values)) if values else None,
    )


def _difference(a: Tally, b: Tally, alpha: float) -> Sequential:
    return difference_of(a, b, alpha=alpha)


def _ratio(experiment: Experiment, viewers: Mapping[str, int]) -> float:
    """The strongest evidence of an arm against its share; each arm asked about makes it weaker."""
    total = sum(viewers.values())
    asked = [(name, share) for name, share in experiment.shares.items() if 0 < share < 1]
    found = [
        mean_of(tally_hits(viewers.get(name, 0), total), against=share).evidence for name, share in asked
    ]
    return max(found, default=1.0) / max(1, len(found))


def _sentence(result: Result) -> str:
    """What it comes to, for people."""
    experiment, arms = result.experiment, result.arms
    name = f"“{experiment.name}”"
    if not arms:
        return f"{name} only lets {experiment.shadow} answer in the shadow: nobody sees those answers."
    if result.ratio_is_off:
        got = ", ".join(f"{one.name} {one.viewers:,}" for one in arms)
        return f"{name} cannot be trusted: viewers were not split as they should have been ({got})."
    settled = sum(one.settled for one in arms)
    if not settled:
        nothing = (
            "says nothing yet: no viewer has had" if experiment.running else "said nothing: no viewer had"
        )
        return f"{name} {nothing} a whole day of answers that were seen to be shown."
    words = [_difference_words(arms[0], one, result.differences[one.name]) for one in arms[1:]]
    if not words:
        return f"{name} has one arm, {arms[0].name}: there is nothing to compare it with."
    return f"{name}, {counted(settled, 'viewer')}: {'; '.join(words)}."


def _difference_words(first: Arm, other: Arm, found: Sequential) -> str:
    if first.rate is None or other.rate is None:
        return f"{other.name} and {first.name} cannot be compared yet"
    rates = f"{percent(other.rate.mean)} of answers against {percent(first.rate.mean)}"
    band = f"{figure(100 * found.low, 1)} to {figure(100 * found.high, 1)} points"
    if not found.decided:
        return f"{other.name} and {first.name} are not told apart yet ({rates} were followed, {band})"
    which = "more" if found.mean > 0 else "less"
    return f"{other.name} brings {which} clicks than {first.name} ({rates} were followed, {band})"


def _shadow(name: str, one: ShadowFigures) -> ShadowResult:
    cpu_ms = 1000 * one.cpu_s / one.answers if one.answers else 0.0
    return ShadowResult(
        bundle=name,
        answers=one.answers,
        overlap=one.overlap,
        cpu_ms=cpu_ms,
        sentence=(
            f"{name} would have shown {percent(one.overlap)} of what was shown, in "
            f"{counted(one.answers, 'answer')}; asking it took {cpu_ms:.2f} ms each."
        ),
    )
