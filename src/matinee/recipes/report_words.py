"""The report's sentences: true ones, for people who have no use for metrics."""

from __future__ import annotations

from matinee.report.numbers import counted, percent
from matinee.serve.attribution import Attribution, Rate
from matinee.serve.drift import FEWEST_EVENTS, FEWEST_VIEWERS
from matinee.serve.monitoring import Figures


def verdict(found: Attribution) -> str:
    """The first sentence."""
    if found.all is not None and _enough(found.all):
        hundred = 100 * found.all.rate.mean
        many = f"{hundred:.0f}" if hundred >= 2 else f"{hundred:.1f}"
        return (
            f"Of 100 times that recommendations were shown, {many} were followed by a choice from them: "
            f"{found.all.clicked:,} of {counted(found.all.shown, 'answer')}."
        )
    if found.all is not None:
        were = "was" if found.all.shown == 1 else "were"
        return (
            f"{counted(found.all.shown, 'answer')} {were} shown to {counted(found.all.viewers, 'viewer')}: "
            "too few to tell what they brought."
        )
    if found.clicks:
        return (
            f"{counted(found.clicks, 'choice')} followed from recommendations. Nobody says what was shown, "
            "so of how many is not known."
        )
    return "Nothing is known yet of what recommendations brought."


def brought(found: Attribution) -> list[str]:
    """What followed, in sentences."""
    lines = []
    if found.all is not None:
        rate = found.all.rate
        share = f": {percent(rate.mean)} ({percent(rate.low)} to {percent(rate.high)})"
        lines.append(
            f"Shown for certain: {counted(found.all.shown, 'answer')}, to "
            f"{counted(found.all.viewers, 'viewer')}. A choice of something in them followed "
            f"{found.all.clicked:,} of them{share if _enough(found.all) else ''}."
        )
    if found.unshown:
        lines.append(
            f"{counted(found.unshown, 'choice')} followed from answers of which nobody said that they were "
            "shown: they are counted, but in no share."
        )
    if found.all is not None or found.unshown:
        lines.append(
            "A choice that follows might have been made anyway: what recommendations add is what the "
            "comparison below shows, where there is one."
        )
    return lines


def _enough(shown: Rate) -> bool:
    """Whether so many were shown, and to so many, that a share says anything."""
    return shown.shown >= FEWEST_EVENTS and shown.viewers >= FEWEST_VIEWERS


def kinds_words(found: Attribution) -> str:
    """Personal answers against those for everybody, and what the comparison is worth."""
    ours, theirs = found.personal, found.for_all
    if ours is None or theirs is None:
        one = (
            "Every answer shown was made for its viewer" if theirs is None else "No answer shown was personal"
        )
        return f"{one}: there is nothing to compare with."
    apart = ours.rate.low > theirs.rate.high or theirs.rate.low > ours.rate.high
    which = "more" if ours.rate.mean > theirs.rate.mean else "less"
    said = (
        f"Answers that were made for their viewer were followed {which} often than those that everybody gets"
        if apart
        else "Answers that were made for their viewer and those that everybody gets are not told apart"
    )
    return (
        f"{said} ({percent(ours.rate.mean)} against {percent(theirs.rate.mean)}). They went to different "
        "people and places, newcomers among them, so this is a hint and no proof."
    )


def unknown(found: Attribution, figures: Figures | None) -> list[str]:
    """What cannot be told, and what to do about it."""
    lines = []
    if found.all is None:
        lines.append(
            "What was shown is not known, so there is no click-through: have the site send impressions with "
            "the recommendation's id (POST /v1/events)."
        )
    if not found.clicks:
        lines.append(
            "Which choices followed from recommendations is not known: have the site send the "
            "recommendation's id with its events."
        )
    if found.unread:
        lines.append(
            f"{counted(found.unread, 'event')} or impressions bring an id that this server never gave: they "
            "count nowhere."
        )
    if found.others:
        lines.append(
            f"{counted(found.others, 'choice')} or impressions bring the id of an answer that was made for "
            "another viewer: they count nowhere."
        )
    if found.strays:
        lines.append(f"{counted(found.strays, 'choice')} name an answer that did not hold the item.")
    if figures is None:
        lines.append(
            "How old the model is, how much of the catalogue is shown and what has drifted: name the bundles "
            "(--bundles) to see it."
        )
    lines.append("What a choice is worth in money: nobody told matinee.")
    return lines
