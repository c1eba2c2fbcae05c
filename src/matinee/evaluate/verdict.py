"""The verdict: one or two sentences that a boss understands, and that are true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

FEWEST_TARGETS = 2_000
FEWEST_VIEWERS = 200
LEVEL = 0.05

POPULARITY = "popularity"
# What predictions of values are held against: the best of these that is in the table.
AVERAGES = {"rating_biases": "items' and viewers' averages", "rating_mean": "the mean alone"}

_NUMBERS = {1: "one", 3: "three", 5: "five", 10: "ten", 20: "twenty", 50: "fifty", 100: "a hundred"}


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a verdict rests on.

    Attributes:
        targets: targets of the test.
        viewers: viewers of the test.
        single: whether each query has one target.
        k: length of the shelf.
        held: recommender -> share of queries whose shelf held a target (hit@k).
        ranking: recommenders by their score on validation, best first.
        pairs: recommender -> (mean, p_holm) of how much better the chosen one is, in what chose it.
        errors: recommender -> (RMSE, MAE), where values are predicted; else empty, and `held` is not.
    """

    targets: int
    viewers: int
    single: bool
    k: int
    held: Mapping[str, float]
    ranking: Sequence[str]
    pairs: Mapping[str, tuple[float, float]]
    errors: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def verdict(found: Findings) -> str:
    """The verdict on a table."""
    if not (found.held or found.errors):
        return "No verdict: no recommender could be fitted."
    if too_few(found):
        return (
            f"Too few to tell: {found.targets:,} targets of {found.viewers:,} viewers; "
            f"a verdict needs at least {FEWEST_TARGETS:,} targets of {FEWEST_VIEWERS} viewers."
        )
    if not found.ranking:
        return "No verdict: validation had nothing to choose a recommender by."
    chosen = found.ranking[0]
    if found.errors:
        return " ".join(part for part in (_predicted(found, chosen), _rivals(found)) if part)
    if POPULARITY in found.held and _against(found, POPULARITY) <= 0:
        return _not_beaten(found, chosen)
    return " ".join(part for part in (_held(found, chosen), _rivals(found)) if part)


def too_few(found: Findings) -> bool:
    """Whether there are too few targets or viewers for a verdict."""
    return found.targets < FEWEST_TARGETS or found.viewers < FEWEST_VIEWERS


def _against(found: Findings, other: str) -> int:
    """1 where the chosen one beats the other beyond chance, -1 where it loses so, else 0."""
    mean, p = found.pairs.get(other, (0.0, 1.0))
    if p >= LEVEL:
        return 0
    return 1 if mean > 0 else -1


def _held(found: Findings, chosen: str) -> str:
    shelf = f"our shelf of {_NUMBERS.get(found.k, found.k)} ({chosen})"
    ours = _of_hundred(found.held[chosen])
    popular = (
        _of_hundred(found.held[POPULARITY]) if POPULARITY in found.held and chosen != POPULARITY else None
    )
    if found.single:
        words = f"Of 100 next choices, {shelf} held {ours}"
        return f"{words}, the popular shelf {popular}." if popular is not None else f"{words}."
    words = f"For {ours} of 100 viewers, {shelf} held something that they chose and we had hidden"
    return f"{words}; the popular shelf for {popular}." if popular is not None else f"{words}."


def _predicted(found: Findings, chosen: str) -> str:
    """The sentence about how near predicted values are, beside what averages say."""
    rmse, mae = found.errors[chosen]
    words = f"What {chosen} predicts is off by {mae:.2f} on average (RMSE {rmse:.3f})"
    plain = next((name for name in AVERAGES if name in found.errors and name != chosen), None)
    if plain is None:
        return f"{words}."
    rmse, mae = found.errors[plain]
    words += f", that of {AVERAGES[plain]} by {mae:.2f} ({rmse:.3f})"
    if _against(found, plain) < 0:
        return f"{words}: plain averages are nearer, beyond chance ({_p(found.pairs[plain][1])})."
    return f"{words}." if _against(found, plain) else f"{words}: that may be chance."


def _not_beaten(found: Findings, chosen: str) -> str:
    better = [other for other in found.pairs if _against(found, other) < 0]
    if chosen == POPULARITY:
        if better:
            return (
                f"Validation chose popularity, yet on the test {_listed(better)} did better beyond chance: "
                "bring more validation data before trusting either."
            )
        return f"Nothing here beats popularity: validation chose it. {_held(found, chosen)}"
    mean, p = found.pairs.get(POPULARITY, (0.0, 1.0))
    loses = _against(found, POPULARITY) < 0
    if loses:
        start = f"Popularity beats {chosen}, which validation chose"
    elif better:
        start = f"{chosen}, which validation chose, is not shown to beat popularity"
    else:
        lead = "the lead of {} may be chance" if mean > 0 else "{} has no lead"
        start = (
            f"Nothing here is shown to beat popularity: {lead.format(chosen + ', which validation chose,')}"
        )
    return f"{start} ({_p(p)}). {_held(found, chosen)}"


def _rivals(found: Findings) -> str:
    """The sentence about the others; popularity has been spoken of."""
    others = [name for name in found.ranking[1:] if name != POPULARITY]
    if not others:
        return ""
    better = [name for name in others if _against(found, name) < 0]
    if better:
        return f"On the test {_listed(better)} did better still, beyond chance: validation chose otherwise."
    unsure = [name for name in others if _against(found, name) == 0]
    if not unsure:
        worst = max(found.pairs[name][1] for name in others)
        return f"It beats every other recommender here beyond chance ({_p(worst)})."
    rival = others[0]
    sure = [name for name in others if name not in unsure]
    words = f"Its distance to {_listed(unsure)} may be chance"
    if len(unsure) == 1:
        words += f" ({_p(found.pairs[unsure[0]][1])})"
    if rival not in unsure:
        words += f"; it beats {rival}, the best other, beyond chance ({_p(found.pairs[rival][1])})"
    elif sure:
        words += f"; it beats {_listed(sure)} beyond chance"
    return f"{words}."


def _of_hundred(share: float) -> str:
    """A share as a number of 100, whole unless it is less than two."""
    hundredth = 100 * share
    return f"{hundredth:.0f}" if hundredth >= 2 else f"{hundredth:.1f}"


def _p(p: float) -> str:
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".", 1)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
