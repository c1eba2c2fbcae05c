"""On a GPU: the CPU's losses, replayed steps that teach the same, a million items, going on after a stop.

pytest -m cuda tests
"""

from dataclasses import replace

import pytest
import torch
from tests.train.test_learner import events, loss_of, network

from matinee.core.errors import Stopped
from matinee.core.run import Run
from matinee.networks.sequential import SequentialNetwork
from matinee.train.adamw import AdamW, clip_gradients
from matinee.train.ahead import Shapes, taken_ahead
from matinee.train.device import find_place
from matinee.train.learner import CudaGraphs, Learner
from matinee.train.loop import train
from matinee.train.memory import NetworkSize, predicted_gpu_bytes
from matinee.train.plan import Plan
from matinee.train.sequences import Reading, next_events

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
SHAPES = Shapes(batch_events=128, longest=20)
PLAN = Plan(passes=6, rate=0.01, clip=1.0, average=0.9, warmup=2)


def passes(filled=True):
    return taken_ahead(
        next_events(events(), Reading(longest=20, batch_events=128), 0), SHAPES if filled else None
    )


def on_cpu():
    return next_events(events(), Reading(longest=20, batch_events=128), 0)


def losses(done) -> list[float]:
    return [point.loss for point in done.curve]


def fitted(run: Run, made=None, dropout=0.0, plan=PLAN):
    made = passes() if made is None else made
    return train(network(dropout=dropout, item_dropout=dropout), loss_of, made, plan, run)


@pytest.mark.parametrize(("kind", "learnt"), [("distance", False), ("steps", True), ("places", False)])
def test_losses_and_gradients_are_those_of_the_cpu(kind, learnt):
    found = []
    for device in ("cpu", "cuda"):
        place = find_place(device, "float32")
        made = network(positions=kind, times=learnt, dropout=0.0, item_dropout=0.0).to(place.device)
        learn = Learner(made, loss_of, place)
        reading = Reading(longest=20, batch_events=128, times=learnt)
        batch = SHAPES.filled(next(iter(next_events(events(), reading, 0)(0))))
        loss, _ = learn(batch)
        found.append([loss.detach().cpu(), *(p.grad.cpu() for p in made.parameters())])
    torch.testing.assert_close(found[1], found[0], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_curve_is_the_cpus(precision):
    wanted = losses(fitted(Run(device="cpu", precision="float32"), on_cpu()))
    found = losses(fitted(Run(device="cuda", precision=precision)))
    assert found == pytest.approx(wanted, rel=2e-2 if precision == "bfloat16" else 2e-3)


def test_recorded_steps_teach_the_same_and_nothing_is_said():
    told: list[str] = []
    recorded = fitted(Run(device="cuda", precision="float32", tell=lambda step: told.append(step.doing)))
    anew = fitted(Run(device="cuda", precision="float32", record=False))
    assert losses(recorded) == pytest.approx(losses(anew), rel=1e-3)
    assert not [sentence for sentence in told if "one by one" in sentence]


def test_dropout_is_drawn_anew_in_every_replay():
    place = find_place("cuda", "float32")
    made = network(dropout=0.5, item_dropout=0.5).to(place.device)
    learn = Learner(made, loss_of, place, CudaGraphs(place.device))
    batch = SHAPES.filled(next(iter(on_cpu()(0))))
    found = set()
    for _ in range(5):
        found.add(float(learn(batch)[0].detach()))
        made.zero_grad()
    assert len(found) == 5


def test_a_step_waits_for_nothing():
    place = find_place("cuda", "float32")
    made = network(times=True, gated=True).to(place.device)
    learn = Learner(made, loss_of, place)
    optimiser = AdamW(dict(made.named_parameters()), betas=(0.9, 0.98))
    reading = Reading(longest=20, batch_events=128, times=True)
    batches = list(taken_ahead(next_events(events(), reading, 0), SHAPES)(0))
    learn(batches[0])
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for batch in batches:
            learn(batch)
            clip_gradients(list(made.parameters()), 1.0)
            optimiser.step(0.01)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("width", [64, 128])
def test_a_million_items_take_what_was_predicted_and_fit_into_24_gb(width):
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    size = NetworkSize(n_items=1_000_000, width=width, hidden=4 * width, batch_events=4096, half=True)
    place = find_place("cuda", "bfloat16")
    before = torch.cuda.memory_allocated()
    made = SequentialNetwork(size.n_items, width=width, hidden=size.hidden).to(place.device)
    average = [weights.detach().clone() for weights in made.parameters()]
    learn = Learner(made, loss_of, place)
    optimiser = AdamW(dict(made.named_parameters()), betas=(0.9, 0.98))
    reading = Reading(longest=20, batch_events=4096)
    for batch in taken_ahead(next_events(events(2000), reading, 0), None)(0):
        loss, _ = learn(batch)
        optimiser.step(0.001)
        torch._foreach_lerp_(average, list(made.parameters()), 0.1)
    assert torch.isfinite(loss)
    peak = torch.cuda.max_memory_allocated() - before
    assert peak < 24 * 2**30
    assert 0.7 < predicted_gpu_bytes(size) / peak < 1.4


def test_going_on_from_a_checkpoint_ends_near_where_an_unbroken_run_does(tmp_path):
    """Near, not there: sums on a GPU come in any order, and shapes are recorded anew."""
    asked = iter([False] * 30 + [True] * 1000)
    run = Run(device="cuda", precision="float32", checkpoints=tmp_path)
    with pytest.raises(Stopped, match="was saved"):
        fitted(replace(run, should_stop=lambda: next(asked)))
    assert losses(fitted(run)) == pytest.approx(
        losses(fitted(Run(device="cuda", precision="float32"))), rel=1e-3
    )
