"""A table that is moved row by row: what its moments and its average come to."""

import copy

import pytest
import torch
from tests.train.small import N_ITEMS, NextItem, made_passes
from torch import Tensor, nn
from torch.nn import functional

from matinee.core.errors import Stopped
from matinee.core.run import Run
from matinee.train.adamw import AdamW, clip_gradients
from matinee.train.loop import train
from matinee.train.plan import Plan
from matinee.train.rows import RowAverage, RowMoments

PLAN = Plan(passes=3, rate=0.02, warmup=2, average=0.9, seed=1)


class SomeItems(NextItem):
    """The same task, told from three items of the batch, so that a step touches few rows."""

    by_rows = True

    def loss(self, items: Tensor, after: Tensor) -> Tensor:
        read = functional.embedding(items, self.items, sparse=self.by_rows)
        asked = self.out(torch.relu(self.hidden(self.dropout(read[:, None])[:, 0])))
        told = functional.embedding(torch.cat([after, items[:2]]), self.items, sparse=self.by_rows)
        return functional.cross_entropy(asked @ told.T, torch.arange(len(items)))


def loss_of(network: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, int]:
    items, after = batch
    return network.loss(items[:4], after[:4]), 4


def adam_by_hand(slopes: list[Tensor | None], rate: float, betas: tuple[float, float]) -> Tensor:
    """What one row moves by in all, by the formulas of the paper with one second moment."""
    first, second, count, moved = 0.0, 0.0, 0, torch.zeros(3)
    for slope in slopes:
        if slope is None:
            continue
        count += 1
        first = betas[0] * first + (1 - betas[0]) * slope
        second = betas[1] * second + (1 - betas[1]) * (slope**2).mean()
        corrected = second / (1 - betas[1] ** count)
        moved = moved - rate * first / (1 - betas[0] ** count) / (corrected.sqrt() + 1e-8)
    return moved


def test_each_row_is_adam_with_a_clock_of_its_own():
    torch.manual_seed(0)
    table = torch.zeros(5, 3)
    moments = RowMoments(table)
    touched = (torch.rand(20, 5) < 0.5) | (torch.arange(20)[:, None] % 5 == torch.arange(5))
    slopes = [[torch.randn(3) if there else None for there in step] for step in touched.tolist()]
    for step in slopes:
        rows = [row for row, slope in enumerate(step) if slope is not None]
        values = torch.stack([step[row] for row in rows])
        places = torch.tensor([rows])
        gradient = torch.sparse_coo_tensor(places, values, table.shape, check_invariants=True).coalesce()
        before = table.clone()
        told, stood = moments.step(table, gradient, 0.1, (0.9, 0.98))
        assert told.tolist() == rows
        assert torch.equal(stood, before[rows])
        still = [row for row in range(5) if row not in rows]
        assert torch.equal(table[still], before[still])
    for row in range(5):
        wanted = adam_by_hand([step[row] for step in slopes], 0.1, (0.9, 0.98))
        torch.testing.assert_close(table[row], wanted, atol=1e-5, rtol=1e-4)


def test_the_average_is_that_of_every_row_at_every_step():
    torch.manual_seed(0)
    table = torch.randn(6, 4)
    lazy, dense = table.clone(), table.clone()
    rows = RowAverage(lazy)
    for step in range(60):
        moved = torch.unique(torch.randint(6, (2,)))
        before = table[moved].clone()
        table[moved] += torch.randn(len(moved), 4)
        decay = min(0.95, step / (step + 3.0))
        rows.follow(lazy, (moved, before), decay)
        dense.lerp_(table, 1.0 - decay)
        if step % 20 == 7:
            rows.settle(lazy, table)
            torch.testing.assert_close(lazy, dense, atol=1e-5, rtol=1e-5)
            settled = lazy.clone()
            rows.settle(lazy, table)
            assert torch.equal(lazy, settled)
    rows.settle(lazy, table)
    torch.testing.assert_close(lazy, dense, atol=1e-5, rtol=1e-5)


def test_only_rows_of_the_batch_move_and_decay_pulls_them_alone():
    network = SomeItems(dropout=0.0)
    optimiser = AdamW(dict(network.named_parameters()), betas=(0.9, 0.98), weight_decay=0.5)
    before = network.items.detach().clone()
    items, after = torch.tensor([1, 2, 3, 2]), torch.tensor([4, 5, 5, 6])
    network.loss(items, after).backward()
    optimiser.step(0.01)
    assert network.items.grad is None
    moved = torch.nonzero((network.items != before).any(dim=1))[:, 0]
    assert moved.tolist() == [1, 2, 3, 4, 5, 6]
    assert set(optimiser.moved) == {"items"}


def test_clip_measures_rows_that_were_read_twice_as_their_sum():
    dense, sparse = SomeItems(dropout=0.0), SomeItems(dropout=0.0)
    dense.by_rows = False
    for network in (dense, sparse):
        network.loss(torch.tensor([1, 1, 2, 1]), torch.tensor([3, 3, 4, 3])).backward()
        clip_gradients(list(network.parameters()), 0.01)
    torch.testing.assert_close(sparse.items.grad.to_dense(), dense.items.grad)


def test_it_learns_and_is_judged_by_an_average_that_is_up_to_date():
    network = SomeItems(dropout=0.0)
    seen = []

    def judge(judged: nn.Module) -> float:
        seen.append(judged.items.detach().clone())
        return float(len(seen))

    trained = train(network, loss_of, made_passes(40), PLAN, validate=judge)
    losses = [point.loss for point in trained.curve]
    assert losses[-1] < 0.7 * losses[0]
    assert torch.equal(trained.best["items"], seen[-1])


@pytest.mark.parametrize("stop_at", [1, 5, 9, 14])
def test_stopped_and_gone_on_with_it_ends_with_the_same_weights(tmp_path, stop_at):
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > stop_at

    whole = train(SomeItems(), loss_of, made_passes(), PLAN, validate=_still)
    first = Run(checkpoints=tmp_path, should_stop=should_stop)
    with pytest.raises(Stopped):
        train(SomeItems(), loss_of, made_passes(), PLAN, first, validate=_still)
    gone_on = train(SomeItems(), loss_of, made_passes(), PLAN, Run(checkpoints=tmp_path), validate=_still)
    assert whole.best.keys() == gone_on.best.keys()
    assert all(torch.equal(whole.best[name], gone_on.best[name]) for name in whole.best)


def test_moments_are_taken_up_where_they_stood():
    network = SomeItems(dropout=0.0)
    optimiser = AdamW(dict(network.named_parameters()), betas=(0.9, 0.98))
    first, *rest = made_passes(4)(0)
    loss_of(network, first)[0].backward()
    optimiser.step(0.01)
    twin = copy.deepcopy(network)
    second = AdamW(dict(twin.named_parameters()), betas=(0.9, 0.98))
    second.load(optimiser.tensors())
    for batch in rest:
        for trained, by in ((network, optimiser), (twin, second)):
            loss_of(trained, batch)[0].backward()
            by.step(0.01)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), twin.parameters(), strict=True))


def _still(judged: nn.Module) -> float:
    return float(judged.items[: N_ITEMS // 2].square().sum())
