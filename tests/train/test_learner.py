"""A step's loss and gradients: anew, filled up, recorded and replayed; and no step waits for the device."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from matinee.core.run import Run
from matinee.core.types import Histories as Events
from matinee.networks.losses import sampled_loss, softmax_loss
from matinee.networks.sequential import SequentialNetwork
from matinee.train import learner, loop
from matinee.train.adamw import AdamW, clip_gradients
from matinee.train.ahead import Shapes, taken_ahead
from matinee.train.device import Place
from matinee.train.learner import Filled, Learner, records, shapes_within
from matinee.train.loop import train
from matinee.train.plan import Plan
from matinee.train.sequences import Reading, next_events, other_halves
from matinee.train.tensors import map_tensors, tensors_of

ITEMS = 30
CPU = Place(device=torch.device("cpu"), half=False)


@dataclass
class Again:
    """Stands in for CUDA graphs on a CPU: recorded work is done again, into the same places."""

    recorded: int = 0
    replayed: int = 0
    shapes: list[tuple[int, ...]] = field(default_factory=list)

    def record(self, work: Callable[[], tuple]) -> tuple[tuple, Callable[[], None]]:
        self.recorded += 1
        # What is recorded is not yet done: random streams stay, and what is there means nothing.
        with torch.random.fork_rng(devices=[]):
            results = work()
        for result in results:
            if result is not None:
                result.fill_(float("nan"))

        def replay() -> None:
            self.replayed += 1
            for place, found in zip(results, work(), strict=True):
                if place is not None:
                    place.copy_(found)

        return results, replay


class Refuses:
    """A device that cannot record."""

    def record(self, work: Callable[[], tuple]) -> tuple[tuple, Callable[[], None]]:
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore")


def events(viewers: int = 60, *, weights: bool = False, seed: int = 0) -> Events:
    random = np.random.default_rng(seed)
    lengths = random.integers(2, 22, viewers)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    n = int(offsets[-1])
    return Events(
        offsets=offsets,
        items=random.integers(0, ITEMS, n).astype(np.int32),
        times=np.sort(random.integers(0, 10**9, n)),
        weights=random.random(n).astype(np.float32) + np.float32(0.1) if weights else None,
    )


def network(**more) -> SequentialNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return SequentialNetwork(ITEMS, width=16, layers=2, hidden=32, longest=20, **more)


def loss_of(network: SequentialNetwork, batch) -> tuple[Tensor, int] | None:
    if batch is None:
        return None
    table = network.table()
    loss = softmax_loss(batch.vectors(network, table), table, batch.targets, weights=batch.weights)
    return loss, len(batch.targets)


@pytest.mark.parametrize("kind", ["plain", "opening", "weights", "times", "steps", "places", "last", "sets"])
def test_what_fills_a_batch_up_teaches_nothing(kind):
    ordered, opening = kind != "sets", kind == "opening"
    told = events(weights=kind == "weights")
    reading = Reading(
        longest=20,
        batch_events=128,
        times=kind == "times",
        opening=opening,
        last=2 if kind == "last" else 0,
    )
    positions = {"steps": "steps", "places": "places"}.get(kind, "distance")
    made = network(
        ordered=ordered,
        opening=opening,
        times=kind == "times",
        positions=positions,
        dropout=0.0,
        item_dropout=0.0,
    )
    shapes = Shapes(batch_events=128, longest=20, ordered=ordered, opening=opening)
    learn, grown = Learner(made, loss_of, CPU), 0
    for batch in (next_events if ordered else other_halves)(told, reading, 0)(0):
        found = []
        filled = shapes.filled(batch)
        for one in (batch, filled):
            made.zero_grad()
            loss, predictions = learn(one)
            found.append((loss.detach(), predictions, [p.grad.clone() for p in made.parameters()]))
        grown += filled.batch.histories.items.numel() > batch.histories.items.numel()
        assert found[0][1] == found[1][1] == len(batch.targets)
        torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(found[0][2], found[1][2], rtol=1e-4, atol=1e-6)
    assert grown


def test_filled_batches_come_in_few_shapes():
    passes = next_events(events(2000), Reading(longest=20, batch_events=512), 0)
    shapes = Shapes(batch_events=512, longest=20)
    found, before, slots, real = set(), set(), 0, 0
    for number in range(3):
        for batch in passes(number):
            filled = shapes.filled(batch).batch
            found.add(tuple(tensor.shape for tensor in tensors_of(filled)))
            before.add(tuple(tensor.shape for tensor in tensors_of(batch)))
            slots, real = slots + len(filled.targets), real + len(batch.targets)
    assert len(found) < 30 < len(before)
    # What costs is the loss; hardly any of it is spent on filling.
    assert real > 0.94 * slots


def curve(monkeypatch, recorder, dropout=0.0, told=None, **more) -> list[float]:
    """Losses of a run whose batches are filled up."""
    monkeypatch.setattr(loop, "records", lambda *_: recorder is not None)
    monkeypatch.setattr(loop, "CudaGraphs", lambda _: recorder)
    passes = taken_ahead(
        next_events(events(), Reading(longest=20, batch_events=128), 0),
        Shapes(batch_events=128, longest=20),
        pinned=False,
    )
    made = network(dropout=dropout, item_dropout=dropout)
    run = Run(
        device="cpu", precision="float32", tell=lambda step: told is None or told.append(step.doing), **more
    )
    done = train(made, loss_of, passes, Plan(passes=4, rate=0.01, clip=1.0, average=0.9, warmup=2), run)
    return [point.loss for point in done.curve]


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_replayed_steps_teach_the_same(dropout, monkeypatch):
    recorder = Again()
    wanted = curve(monkeypatch, None, dropout)
    assert curve(monkeypatch, recorder, dropout) == pytest.approx(wanted, rel=1e-6)
    assert wanted[-1] < wanted[0]
    assert 3 < recorder.recorded < recorder.replayed


def test_where_nothing_can_be_recorded_steps_are_made_one_by_one_and_it_is_told(monkeypatch):
    told: list[str] = []
    assert curve(monkeypatch, Refuses(), told=told) == curve(monkeypatch, None)
    said = [sentence for sentence in told if "one by one" in sentence]
    assert said == [
        "Steps could not be recorded and are made one by one: "
        "CUDA error: operation not permitted when stream is capturing"
    ]


def test_there_is_room_for_so_many_shapes(monkeypatch):
    made = network()
    assert shapes_within(made) == 48
    monkeypatch.setattr(learner, "_GRADIENT_BYTES", 2 * sum(p.nbytes for p in made.parameters()))
    recorder = Again()
    assert shapes_within(made) == 2
    learn = Learner(made, loss_of, CPU, recorder)
    shapes = Shapes(batch_events=128, longest=20)
    for _ in range(2):
        for batch in next_events(events(), Reading(longest=20, batch_events=128), 0)(0):
            learn(shapes.filled(batch))
            made.zero_grad()
    assert recorder.recorded == 2


def test_what_is_not_worth_it_is_not_recorded():
    gpu = Place(device=torch.device("cuda"), half=True)
    assert records(network(), gpu)
    assert not records(network(), gpu, wanted=False)
    assert not records(network(), CPU)
    large = nn.Module()
    large.items = nn.Parameter(torch.empty(1_000_000, 64, device="meta"))
    assert not records(large, gpu)


class NoWaiting(TorchDispatchMode):
    """Refuses what a GPU's host would have to wait for: numbers read, and shapes that values decide."""

    WAITS = (
        "_local_scalar_dense",
        "nonzero",
        "masked_select",
        "_unique",
        "unique_dim",
        "equal",
        "is_nonzero",
    )

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        assert not name.startswith(self.WAITS), name
        if name.startswith("index"):
            chosen = args[1] if isinstance(args[1], list | tuple) else []
            assert all(at is None or at.dtype != torch.bool for at in chosen), "a mask decides a shape"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("sampled", [False, True])
def test_no_step_waits_for_the_device(sampled):
    made = network(times=True, gated=True)
    optimiser = AdamW(dict(made.named_parameters()), betas=(0.9, 0.98), weight_decay=0.1)

    def drawn(network, batch):
        others = torch.randint(ITEMS, (8,))
        table = network.table()
        found = sampled_loss(
            batch.vectors(network, table), table, batch.targets, others, weights=batch.weights
        )
        return found, len(batch.targets)

    learn = Learner(made, drawn if sampled else loss_of, CPU)
    shapes = Shapes(batch_events=128, longest=20)
    batches = list(next_events(events(), Reading(longest=20, batch_events=128, times=True), 0)(0))
    total = torch.zeros(())
    with NoWaiting():
        for batch in batches:
            loss, predictions = learn(shapes.filled(batch))
            clip_gradients(list(made.parameters()), 1.0)
            optimiser.step(0.01)
            total += loss.detach() * predictions
    with NoWaiting(), pytest.raises(AssertionError, match="_local_scalar_dense"):
        total.item()
    assert total.isfinite()


def test_tensors_are_found_wherever_they_are():
    batch = Filled(batch=(torch.ones(2), ("word", torch.zeros(3, dtype=torch.int64)), None), predictions=2)
    assert [len(tensor) for tensor in tensors_of(batch)] == [2, 3]
    doubled = map_tensors(batch, lambda tensor: tensor * 2)
    assert doubled.batch[0].tolist() == [2.0, 2.0]
    assert doubled.batch[1][0] == "word"
    assert doubled.predictions == 2
