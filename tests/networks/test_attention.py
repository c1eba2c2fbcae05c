"""Attention on either path, with its bias, against the formula and against torch's own flexible one."""

import pytest
import torch
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from matinee.networks.attention_bias import DistanceBias, StepBias
from matinee.networks.biased_attention import biased_attention
from matinee.networks.blocks import Attention
from matinee.networks.sequential import HIDDEN

HEADS, SIZE = 2, 16
DECAYS = (0.6, 0.95)


def three(n, events, dtype=torch.float64):
    random = torch.Generator().manual_seed(events)
    return tuple(
        torch.randn(n, HEADS, events, SIZE, generator=random, dtype=dtype).requires_grad_() for _ in range(3)
    )


def causal(bias, events):
    steps = torch.arange(events)[:, None] - torch.arange(events)
    return bias(steps).masked_fill(steps < 0, HIDDEN)[None]


def plain(queries, keys, values, bias):
    """The formula."""
    logits = queries @ keys.transpose(2, 3) * SIZE**-0.5 + bias
    return torch.softmax(logits, -1) @ values


def learnt_steps(events):
    bias = StepBias(HEADS, events).double()
    with torch.no_grad():
        bias.table.copy_(torch.linspace(-2.0, 1.0, bias.table.numel()).view_as(bias.table))
    return bias


@pytest.mark.parametrize("attend", [biased_attention, torch.nn.functional.scaled_dot_product_attention])
@pytest.mark.parametrize("events", [1, 7, 40])
def test_both_paths_are_the_formula_with_every_gradient(attend, events):
    found = []
    for work in (attend, plain):
        bias, parts = learnt_steps(events), three(3, events)
        seen = work(*parts, causal(bias, events))
        seen.square().sum().backward()
        found.append([seen.detach(), *(part.grad for part in parts), bias.table.grad])
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-11)


def test_torchs_flexible_attention_is_the_same():
    """It takes the decay as a change of each score and the future as a mask: nothing of our way is in it."""
    events = 130
    slopes = torch.tensor(DECAYS, dtype=torch.float32).log()
    queries, keys, values = (part.detach() for part in three(2, events, torch.float32))

    def decayed(score, batch, head, query, key):
        return score + slopes[head] * (query - key)

    def before(batch, head, query, key):
        return query >= key

    mask = create_block_mask(before, None, None, events, events, device="cpu")
    with pytest.warns(UserWarning, match="flex_attention called without torch.compile"):
        wanted = flex_attention(queries, keys, values, score_mod=decayed, block_mask=mask)
    bias = causal(DistanceBias(DECAYS), events)
    for attend in (biased_attention, torch.nn.functional.scaled_dot_product_attention):
        torch.testing.assert_close(attend(queries, keys, values, bias), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("learnt", [False, True])
def test_in_bfloat16_attention_is_near_what_it_is_in_float32(learnt):
    torch.manual_seed(0)
    attention, x = Attention(32, HEADS), torch.randn(4, 24, 32)
    bias = causal(StepBias(HEADS, 24) if learnt else DistanceBias(DECAYS), 24)
    found = []
    for half in (False, True):
        attention.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            seen = attention(x, bias)
        seen.float().square().sum().backward(retain_graph=True)
        found.append((seen.detach().float(), attention.into.weight.grad.clone()))
    for one, other in zip(*found, strict=True):
        assert (one - other).norm() < 0.02 * other.norm()
