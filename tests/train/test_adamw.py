"""Our calls of the fused kernel do what torch's own optimiser does."""

import copy

import pytest
import torch
from tests.train.small import NextItem, loss_of, made_passes

from matinee.train.adamw import AdamW, clip_gradients


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("clip", [0.0, 0.1])
def test_it_is_torchs(weight_decay, clip):
    ours, theirs = NextItem(dropout=0.0), NextItem(dropout=0.0)
    optimiser = AdamW(
        dict(ours.named_parameters()), betas=(0.9, 0.98), weight_decay=weight_decay, undecayed=("items",)
    )
    matrices = [theirs.hidden.weight, theirs.out.weight]
    rest = [theirs.items, theirs.hidden.bias, theirs.out.bias]
    other = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}],
        betas=(0.9, 0.98),
        fused=True,
    )
    for step, batch in enumerate(made_passes(20)(0)):
        for network in (ours, theirs):
            loss_of(network, batch)[0].backward()
        if clip:
            clip_gradients(list(ours.parameters()), clip)
            torch.nn.utils.clip_grad_norm_(theirs.parameters(), clip)
        optimiser.step(0.01 * (step + 1))
        for group in other.param_groups:
            group["lr"] = 0.01 * (step + 1)
        other.step()
        other.zero_grad()
        assert all(p.grad is None for p in ours.parameters())
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-5)


def test_moments_are_taken_up_where_they_stood():
    network = NextItem(dropout=0.0)
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


def test_what_has_no_gradient_stays_and_what_is_frozen_too():
    network = NextItem(dropout=0.0)
    network.hidden.bias.requires_grad_(False)
    before = copy.deepcopy(network.state_dict())
    optimiser = AdamW(dict(network.named_parameters()), betas=(0.9, 0.98), weight_decay=0.1)
    network.items.sum().backward()
    optimiser.step(0.01)
    moved = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {"items"}
