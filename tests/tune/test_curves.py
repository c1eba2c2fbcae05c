import numpy as np

from matinee.tune.curves import Whole, chance_to_beat, foretell
from matinee.tune.trial import Point, Trial

STEPS = 20


def trial(number, end, rate, upto=STEPS, seed=0):
    noise = np.random.default_rng((seed, number)).normal(0, 0.003, STEPS)
    values = [end - 0.6 * (step + 1) ** -rate + noise[step] for step in range(STEPS)]
    curve = tuple(
        Point(step=step + 1, value=value, dollars=0.1 * (step + 1)) for step, value in enumerate(values)
    )
    whole = upto == STEPS
    return Trial(
        number=number,
        settings={},
        state="done" if whole else "running",
        curve=curve[:upto],
        steps=STEPS,
        value=values[-1] if whole else None,
    )


def many(n, seed=0):
    random = np.random.default_rng(seed)
    return [trial(k, random.uniform(0.3, 0.9), random.uniform(0.6, 1.4), seed=seed) for k in range(n)]


def test_ends_are_foretold_with_an_honest_doubt():
    inside, errors = [], []
    for seed in range(30):
        whole = many(12, seed)
        random = np.random.default_rng(100 + seed)
        end, rate = random.uniform(0.3, 0.9), random.uniform(0.6, 1.4)
        truth = trial(99, end, rate, seed=seed).value
        mean, sd = foretell(trial(99, end, rate, upto=5, seed=seed), Whole(whole))
        inside.append(abs(truth - mean) < 2 * sd)
        errors.append(
            (abs(truth - mean), abs(truth - trial(99, end, rate, upto=5, seed=seed).curve[-1].value))
        )
    assert np.mean(inside) > 0.8
    ours, last = np.mean(errors, axis=0)
    assert ours < 0.5 * last


def test_the_later_the_surer():
    whole = many(12)
    doubts = [foretell(trial(99, 0.7, 1.0, upto=upto), Whole(whole))[1] for upto in (2, 8, 18)]
    assert doubts == sorted(doubts, reverse=True)


def test_before_others_are_known_a_curve_is_carried_on_with_a_wide_doubt():
    young = trial(99, 0.7, 1.0, upto=6)
    mean, sd = foretell(young, Whole([]))
    assert mean > young.curve[-1].value
    assert sd > foretell(young, Whole(many(12)))[1]


def test_a_trial_without_steps_or_curve_foretells_nothing():
    assert foretell(Trial(number=1, settings={}), Whole(many(5))) is None
    lone = Trial(number=1, settings={}, curve=(Point(step=1, value=1.0, dollars=0.1),))
    assert foretell(lone, Whole(many(5))) is None


def test_one_absurd_curve_among_many_leaves_forecasts_alone():
    absurd = Trial(
        number=50,
        settings={},
        state="done",
        curve=(Point(step=1, value=-1e300, dollars=0.1), Point(step=STEPS, value=-1e300, dollars=1.0)),
        steps=STEPS,
        value=-1e300,
    )
    mean, sd = foretell(trial(99, 0.7, 1.0, upto=6), Whole([*many(12), absurd]))
    assert 0.4 < mean < 0.9
    assert sd < 0.3
    assert chance_to_beat((mean, sd), 2.0) < 0.03
