"""The training loop: it learns, averages, stops early, says how it goes, draws from its own stream alone."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from tests.train.small import NextItem, loss_of, made_passes, share_right

from matinee.core.errors import MatineeError, SettingsError
from matinee.core.run import Run, Step
from matinee.train.loop import train
from matinee.train.plan import Plan, average_at, rate_at

PLAN = Plan(passes=4, warmup=3, rate=0.02, seed=3)


def test_it_learns_what_follows_what():
    network = NextItem()
    before = share_right(network)
    done = train(
        network, loss_of, made_passes(12), replace(PLAN, passes=12, average=0.9), validate=share_right
    )
    network.load_state_dict(done.best)
    network.eval()
    assert before < 0.5
    assert share_right(network) == done.validation > 0.9
    assert done.predictions == 12 * 12 * 32
    assert done.curve[0].loss > 2 * done.curve[-1].loss
    assert [point.predictions for point in done.curve] == [384 * n for n in range(1, 13)]


def test_rate_rises_in_a_line_and_falls_along_half_a_cosine():
    plan = Plan(passes=10, rate=0.5, warmup=10, floor=0.1)
    assert rate_at(plan, 0.0, 0) == pytest.approx(0.05)
    assert rate_at(plan, 0.0, 4) == pytest.approx(0.25)
    assert rate_at(plan, 0.5, 1000) == pytest.approx(0.5 * 0.55)
    assert rate_at(plan, 1.0, 1000) == pytest.approx(0.05)
    falling = [rate_at(plan, share / 100, 1000) for share in range(101)]
    assert falling == sorted(falling, reverse=True)


def test_average_is_that_of_a_slow_second_way():
    plan, trail = replace(PLAN, average=0.8), []

    def watched(network, batch):
        trail.append(copy.deepcopy(network.state_dict()))
        return loss_of(network, batch)

    network = NextItem()
    done = train(network, watched, made_passes(6), plan)
    trail.append(network.state_dict())
    for name in ("items", "hidden.weight", "out.bias"):
        mean = trail[0][name].double()
        for steps, weights in enumerate(trail[1:], start=1):
            decay = min(0.8, (steps + 1) / (steps + 10))
            assert decay == average_at(plan, steps)
            mean = decay * mean + (1 - decay) * weights[name].double()
        torch.testing.assert_close(done.best[name].double(), mean, atol=1e-6, rtol=1e-5)
    assert done.best["calls"] == 24


def test_without_average_or_validation_the_last_weights_are_returned():
    network = NextItem()
    done = train(network, loss_of, made_passes(), PLAN)
    assert done.validation is None
    assert not done.stopped_early
    for name, weights in network.state_dict().items():
        assert torch.equal(done.best[name], weights), name


def test_early_stopping_keeps_the_best():
    values, seen = iter([0.0, 0.1, 0.7, 0.2, 0.7, 0.1, 9.0]), []

    def validate(network):
        assert not network.training
        assert not torch.is_grad_enabled()
        seen.append(network.items.detach().clone())
        return next(values)

    network = NextItem()
    done = train(network, loss_of, made_passes(), replace(PLAN, passes=6, patience=2), validate=validate)
    assert done.stopped_early
    assert network.training
    assert [point.validation for point in done.curve] == [0.1, 0.7, 0.2, 0.7]
    assert done.validation == 0.7
    assert torch.equal(done.best["items"], seen[2])


def test_validation_comes_when_the_plan_says_and_at_the_end():
    plan = replace(PLAN, passes=5, validate_every=2, average=0.9)
    done = train(NextItem(), loss_of, made_passes(2), plan, validate=lambda network: 1.0)
    assert [point.validation for point in done.curve] == [None, 1.0, None, 1.0, 1.0]


def test_same_seed_same_weights_and_no_stream_but_its_own_is_drawn_from():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = train(NextItem(), loss_of, made_passes(), PLAN).best
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(7)
    again = train(NextItem(), loss_of, made_passes(), PLAN).best
    other = train(NextItem(), loss_of, made_passes(), replace(PLAN, seed=4)).best
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["items"], other["items"])


def test_batches_that_teach_nothing_are_passed_over():
    def some(network, batch):
        return loss_of(network, batch) if batch is not None else None

    def holes(epoch):
        return [None, *made_passes(3)(epoch), None]

    done = train(NextItem(dropout=0.0), some, holes, replace(PLAN, floor=1.0))
    plain = train(NextItem(dropout=0.0), loss_of, made_passes(3), replace(PLAN, floor=1.0))
    assert done.predictions == plain.predictions
    assert torch.equal(done.best["items"], plain.best["items"])


def test_clip_bounds_what_a_step_may_do():
    plan = Plan(passes=1, warmup=0, rate=1e-3, floor=1.0)

    def first_step(scale: float, clip: float) -> dict[str, torch.Tensor]:
        def scaled(network, batch):
            loss, n = loss_of(network, batch)
            return scale * loss, n

        return train(NextItem(dropout=0.0), scaled, made_passes(3), replace(plan, clip=clip)).best

    small, huge = first_step(1.0, 0.01), first_step(1e4, 0.01)
    assert all(torch.allclose(small[name], huge[name], atol=1e-4) for name in small)
    free = first_step(1.0, 0.0), first_step(1.0, 1e6)
    assert all(torch.equal(free[0][name], free[1][name]) for name in small)


def test_only_matrices_that_are_not_named_are_decayed():
    def nothing(network, batch):
        return 0.0 * sum(weights.sum() for weights in network.parameters()), 1

    network = NextItem()
    before = copy.deepcopy(network.state_dict())
    plan = replace(PLAN, weight_decay=0.5, undecayed=("items",))
    after = train(network, nothing, made_passes(), plan).best
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"hidden.weight", "out.weight"}


def test_it_says_how_it_goes():
    told: list[Step] = []
    run = Run(tell=told.append)
    plan = replace(PLAN, measure="share right")
    train(NextItem(), loss_of, made_passes(), plan, run, share_right)
    assert [step.doing for step in told] == ["pass 2 of 4", "pass 3 of 4", "pass 4 of 4", "pass 4 of 4"]
    assert [step.share for step in told] == [0.25, 0.5, 0.75, 1.0]
    assert all(step.loss > 0 and step.validation[0] == "share right" and step.cpu_s > 0 for step in told)
    assert told[-1].left_s == 0.0 <= told[0].left_s


def test_a_loss_that_is_no_number_ends_it_with_a_sentence():
    with pytest.raises(MatineeError, match=r"The loss became nan in pass 1: take a lower rate"):
        train(NextItem(), lambda network, batch: (network.items.sum() * math.nan, 1), made_passes(), PLAN)


def test_a_validation_that_is_no_number_ends_it_before_the_first_step():
    def never(network, batch):
        raise AssertionError

    with pytest.raises(MatineeError, match=r"after 0 passes gave nan, expected a finite number"):
        train(NextItem(), never, made_passes(), PLAN, validate=lambda network: math.nan)


@pytest.mark.parametrize(
    ("name", "value"), [("passes", 0), ("rate", 0.0), ("floor", 1.5), ("average", 1.0), ("patience", -1)]
)
def test_a_plan_that_cannot_be_meant_is_refused(name, value):
    with pytest.raises(SettingsError, match=rf"Training needs .*{name}.* found .*{value}"):
        Plan(**{name: value})
