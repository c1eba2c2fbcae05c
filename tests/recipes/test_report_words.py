"""The report's first sentences: shares only where enough was shown."""

from dataclasses import replace

import pytest

from matinee.core.statistics import Interval
from matinee.recipes.report_words import brought, verdict
from matinee.serve.attribution import Followed, Rate, told_of


def found(shown, viewers, clicked=0, unshown=0):
    mean = clicked / shown
    share = Interval(mean=mean, low=mean, high=mean)
    rate = Rate(name="all", shown=shown, clicked=clicked, viewers=viewers, rate=share)
    return replace(told_of(Followed()), all=rate, clicks=clicked + unshown, unshown=unshown)


@pytest.mark.parametrize(("shown", "viewers"), [(199, 40), (5_000, 29)])
def test_too_little_shown_is_no_share(shown, viewers):
    little = found(shown, viewers, clicked=shown // 2, unshown=1)
    assert verdict(little) == (
        f"{shown:,} answers were shown to {viewers} viewers: too few to tell what they brought."
    )
    assert "%" not in " ".join(brought(little))


def test_one_answer_was_shown():
    said = "1 answer was shown to 1 viewer: too few to tell what they brought."
    assert verdict(found(1, 1, unshown=1)) == said


def test_choices_from_answers_that_nobody_saw_stand_beside_no_share():
    enough = found(200, 30, clicked=50, unshown=7)
    assert verdict(enough) == (
        "Of 100 times that recommendations were shown, 25 were followed by a choice from them: "
        "50 of 200 answers."
    )
    assert "50 of them: 25.0 % (25.0 % to 25.0 %)." in brought(enough)[0]
    assert brought(enough)[1].startswith("7 choices followed from answers of which nobody said")
