"""Which settings matter, by functions whose effects are known exactly."""

import numpy as np
import pytest

from matinee.core.space import Choice, Span
from matinee.tune.importance import FEWEST, importance
from matinee.tune.trial import Trial

SPACE = {
    "much": Span(low=0.0, high=1.0),
    "some": Span(low=1e-4, high=1.0, log=True),
    "none": Span(low=0.0, high=1.0),
    "kind": Choice(("a", "b", "c")),
}


def trials(value, n=70):
    random = np.random.default_rng(0)
    found = []
    for number in range(1, n + 1):
        settings = {name: values.draw(random) for name, values in SPACE.items()}
        found.append(
            Trial(number=number, settings=settings, state="done", value=value(settings), dollars=1.0)
        )
    return found


def test_shares_are_those_of_the_function():
    def value(settings):
        # Variances 4/12, 1/12, 0 and .02 by uniform draws, the logarithm's uniform from -1 to 0.
        kind = {"a": 0.0, "b": 0.0, "c": 0.3}[settings["kind"]]
        return 2 * settings["much"] + np.log10(settings["some"]) / 4 + kind

    found = importance(SPACE, trials(value))
    parts = {"much": 4 / 12, "some": 1 / 12, "kind": 0.02, "none": 0.0}
    whole = sum(parts.values())
    assert list(found)[:2] == ["much", "some"]
    for name, part in parts.items():
        assert found[name] == pytest.approx(part / whole, abs=0.06)


def test_settings_that_matter_only_together_both_matter():
    found = importance(SPACE, trials(lambda s: (s["much"] - 0.5) * (s["none"] - 0.5)))
    assert min(found["much"], found["none"]) > 0.8
    assert max(found["some"], found["kind"]) < 0.1


def test_little_is_known_of_few_trials_and_of_a_value_that_never_moves():
    assert importance(SPACE, trials(lambda s: s["much"], FEWEST - 1)) == {}
    assert max(importance(SPACE, trials(lambda _s: 1.0, 20)).values()) < 1.01
    assert importance({"only": Choice((1,))}, trials(lambda s: s["much"])) == {}
