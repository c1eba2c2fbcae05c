"""The sampled softmax in chunks is the one written with torch's own operations, gradients included."""

import pytest
import torch

from matinee.networks import drawn_loss as module
from matinee.networks.drawn_loss import Drawn, drawn_loss
from matinee.networks.losses import sampled_loss


@pytest.mark.parametrize("cells", [2**18, 100])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("temperature", "smoothing"), [(1.0, 0.0), (0.7, 0.1)])
def test_it_is_the_sampled_loss(monkeypatch, cells, weighted, temperature, smoothing):
    monkeypatch.setattr(module, "_CELLS", cells)
    random = torch.Generator().manual_seed(0)
    vectors = torch.randn(37, 8, generator=random)
    table = torch.randn(20, 8, generator=random)
    targets = torch.randint(20, (37,), generator=random)
    items = torch.randint(20, (11,), generator=random)
    weights = torch.rand(37, generator=random) if weighted else None
    told = {"temperature": temperature, "smoothing": smoothing}
    found = []
    for ours in (False, True):
        asked, rows = vectors.clone().requires_grad_(), table.clone().requires_grad_()
        if ours:
            loss = drawn_loss(asked, rows, targets, Drawn(items=items, of=500, **told), weights)
        else:
            loss = sampled_loss(asked, rows, targets, items, weights=weights, of=500, **told)
        (3.0 * loss).backward()
        found.append((loss.detach(), asked.grad, rows.grad))
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(two, one.to(two.dtype), atol=1e-5, rtol=1e-4)


def test_what_is_drawn_as_its_own_target_is_hidden():
    targets, items = torch.tensor([3, 1, 3]), torch.tensor([3, 2, 3, 1])
    rows, columns = module._same(targets, items)
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == [
        (0, 0),
        (0, 2),
        (1, 3),
        (2, 0),
        (2, 2),
    ]
    assert rows.tolist() == sorted(rows.tolist())


def test_logits_that_are_far_apart_are_no_trouble():
    vectors = torch.full((2, 4), 100.0, requires_grad=True)
    table = torch.stack([torch.full((4,), 50.0), torch.full((4,), -50.0), torch.zeros(4)])
    loss = drawn_loss(vectors, table, torch.tensor([0, 1]), Drawn(items=torch.tensor([2, 1]), of=10))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(vectors.grad).all()


def test_half_precision_vectors_are_taken():
    vectors = torch.randn(5, 8, generator=torch.Generator().manual_seed(0)).bfloat16().requires_grad_()
    table = torch.randn(6, 8, generator=torch.Generator().manual_seed(1), requires_grad=True)
    drawn = Drawn(items=torch.tensor([0, 4, 5]), of=50)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = drawn_loss(vectors, table, torch.tensor([0, 1, 2, 3, 4]), drawn)
    loss.backward()
    exact = drawn_loss(vectors.detach().float(), table.detach(), torch.tensor([0, 1, 2, 3, 4]), drawn)
    assert loss.item() == pytest.approx(exact.item(), rel=1e-3)
    assert (vectors.grad.dtype, table.grad.dtype) == (torch.bfloat16, torch.float32)
