import pytest

from matinee.core.errors import SettingsError
from matinee.tune.budget import Budget, read_budget


@pytest.mark.parametrize(
    ("words", "dollars", "seconds"),
    [
        ("5usd", 5.0, None),
        ("5", 5.0, None),
        (0.25, 0.25, None),
        ("$", None, None),
        ("2.5 USD", 2.5, None),
        ("3$", 3.0, None),
        ("90s", None, 90.0),
        ("30min", None, 1800.0),
        ("2h", None, 7200.0),
        (".5h", None, 1800.0),
        (["5usd", "2h"], 5.0, 7200.0),
        (["5usd", "1", "2h", "30min"], 1.0, 1800.0),
    ],
)
def test_amounts_are_dollars_and_seconds(words, dollars, seconds):
    if words == "$":
        with pytest.raises(SettingsError):
            read_budget(words)
        return
    assert read_budget(words) == Budget(dollars=dollars, seconds=seconds)


NONSENSE = ("", "much", "5eur", "-5usd", "0", "0s", "5usd2h", "nan", "inf", "1e400", [], True)


@pytest.mark.parametrize("words", NONSENSE)
def test_nonsense_is_refused_in_a_sentence_that_says_what_is_expected(words):
    with pytest.raises(SettingsError, match=r"expected an amount such as 5usd, 90s, 30min or 2h"):
        read_budget(words)


def test_a_budget_is_a_budget():
    budget = Budget(dollars=1.0)
    assert read_budget(budget) is budget
