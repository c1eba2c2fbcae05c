"""The network: its gradients, what it may see, and what filling, order and weights change."""

import math

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'matinee[network]'")

from hypothesis import given, settings  # noqa: E402 (after torch is known to be there)
from hypothesis import strategies as st  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from matinee.networks.attention_bias import (  # noqa: E402
    FARTHEST,
    TIME_BUCKETS,
    DistanceBias,
    StepBias,
    TimeBias,
    time_buckets,
)
from matinee.networks.biased_attention import biased_attention  # noqa: E402
from matinee.networks.blocks import LockedDropout  # noqa: E402
from matinee.networks.losses import softmax_loss  # noqa: E402
from matinee.networks.sequential import Histories, SequentialNetwork  # noqa: E402

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
OPTIONS = {
    "plain": {},
    "gated": {"gated": True},
    "steps": {"positions": "steps"},
    "places": {"positions": "places"},
    "none": {"positions": "none"},
    "times": {"times": True},
    "all": {"gated": True, "positions": "steps", "times": True},
    "unordered": {"ordered": False},
    "unordered, gated": {"ordered": False, "gated": True},
}
each_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
ordered_option = pytest.mark.parametrize("options", [o for o in OPTIONS.values() if o.get("ordered", True)])


def network(seed=0, **options):
    """A small network whose every weight matters."""
    given = {"width": 4, "heads": 2, "hidden": 8, "longest": 9, "dropout": 0.0, "item_dropout": 0.0}
    made = SequentialNetwork(6, **(given | options)).double()
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.4 * torch.randn(weight.shape, generator=random, dtype=torch.float64))
    return made


def histories(lengths=(5, 3), seed=0, weighted=True):
    random = torch.Generator().manual_seed(seed)
    shape = (len(lengths), max(lengths))
    gaps = torch.rand(shape, generator=random, dtype=torch.float64) * 1e5
    weights = torch.rand(shape, generator=random, dtype=torch.float64) * 2 + 0.1
    return Histories(
        items=torch.randint(0, 6, shape, generator=random),
        lengths=torch.tensor(lengths),
        seconds=gaps.cumsum(1),
        weights=weights if weighted else None,
    )


def taken(given, columns, lengths=None):
    """The same histories, their events taken anew."""
    return Histories(
        items=given.items[:, columns],
        lengths=given.lengths if lengths is None else lengths,
        seconds=given.seconds[:, columns],
        weights=None if given.weights is None else given.weights[:, columns],
    )


@each_option
def test_gradients_are_finite_differences(options):
    net = network(**options)
    batch = histories()
    names, weights = zip(*net.named_parameters(), strict=True)

    def loss(*weights):
        found = torch.func.functional_call(net, dict(zip(names, weights, strict=True)), (batch,))
        vectors = found.reshape(-1, 4)
        return softmax_loss(vectors, weights[names.index("items")], torch.arange(len(vectors)) % 6)

    grads = torch.autograd.grad(loss(*weights), weights)
    random = torch.Generator().manual_seed(1)
    for name, weight, grad in zip(names, weights, grads, strict=True):
        along = torch.randn(weight.shape, generator=random, dtype=torch.float64)
        with torch.no_grad():
            step = 1e-5 * along
            up, down = (
                loss(*(w + sign * step if n == name else w for n, w in zip(names, weights, strict=True)))
                for sign in (1, -1)
            )
        wanted = ((up - down) / 2e-5).item()
        assert (grad * along).sum().item() == pytest.approx(wanted, rel=1e-5, abs=1e-9), name
    # A weight whose gradient is nothing would prove nothing (keys' shifts are one: softmax forgets them).
    assert all(grad.abs().max() > 1e-12 for grad in grads)


@ordered_option
@settings(max_examples=10, deadline=None)
@given(at=st.integers(1, 5), seed=st.integers(0, 50))
def test_a_later_event_never_changes_an_earlier_output(options, at, seed):
    net = network(**options)
    one, other = histories((6, 6), seed), histories((6, 6), seed + 1000)
    shared = {
        name: torch.cat([getattr(one, name)[:, :at], getattr(other, name)[:, at:]], dim=1)
        for name in ("items", "weights")
    }
    seconds = torch.cat([one.seconds[:, :at], one.seconds[:, at:] + 1e6], dim=1)
    changed = Histories(lengths=one.lengths, seconds=seconds, **shared)
    torch.testing.assert_close(net(one)[:, :at], net(changed)[:, :at], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(net(one)[:, at:], net(changed)[:, at:])


@each_option
def test_filling_changes_nothing(options):
    net = network(**options)
    short = histories((4, 4))
    filled = taken(short, [0, 1, 2, 3, 0, 3, 3])
    found = net(filled)
    torch.testing.assert_close(found[:, : net(short).shape[1]], net(short), rtol=1e-12, atol=1e-12)


def test_without_order_no_order_counts():
    net = network(ordered=False)
    given = histories((5, 5))
    turned = taken(given, [3, 0, 4, 1, 2])
    torch.testing.assert_close(net(turned), net(given), rtol=1e-12, atol=1e-12)
    assert net(given).shape == (2, 1, 4)


def test_without_order_an_empty_history_still_asks():
    net = network(ordered=False)
    none, some = histories((0, 3)), histories((2, 3))
    assert torch.isfinite(net(none)).all()
    torch.testing.assert_close(net(none)[1], net(some)[1])


def test_an_event_of_weight_two_is_seen_as_two_events():
    """Exact for one layer, from a later event, where no distance counts."""
    net = network(layers=1, positions="none")
    once = Histories(
        items=torch.tensor([[1, 2, 3]]),
        lengths=torch.tensor([3]),
        weights=torch.tensor([[1.0, 2.0, 1.0]], dtype=torch.float64),
    )
    twice = Histories(items=torch.tensor([[1, 2, 2, 3]]), lengths=torch.tensor([4]))
    torch.testing.assert_close(net(once)[:, -1], net(twice)[:, -1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("ordered", [True, False])
def test_an_event_of_next_to_no_weight_is_as_absent(ordered):
    net = network(layers=1, positions="none", ordered=ordered)
    given = histories((4,))
    given.weights[0, 1] = 0.0
    absent = taken(given, [0, 2, 3], torch.tensor([3]))
    torch.testing.assert_close(net(given)[:, -1], net(absent)[:, -1], rtol=1e-3, atol=1e-4)
    given.weights[0, 1] = 1.0
    assert not torch.allclose(net(given)[:, -1], net(absent)[:, -1], rtol=1e-3, atol=1e-4)


def test_distance_is_decay_to_the_power_of_steps():
    decays = [0.6, 0.95]
    at = torch.arange(40)
    steps = (at[:, None] - at).clamp_min(0)
    found = torch.softmax(DistanceBias(decays)(steps).masked_fill(at[:, None] < at, -1e4), -1)
    wanted = torch.tensor(decays)[:, None, None] ** steps * (at[:, None] >= at)
    torch.testing.assert_close(found, wanted / wanted.sum(-1, keepdim=True), rtol=1e-5, atol=1e-7)
    assert DistanceBias([0.1])(torch.tensor([[500]])).item() == FARTHEST


def test_steps_beyond_the_longest_share_a_number():
    bias = StepBias(2, 3)
    with torch.no_grad():
        bias.table.copy_(torch.arange(6.0).view(2, 3))
    assert bias(torch.tensor([[0, 1, 2, 3, 99]])).tolist() == [[[0, 1, 2, 2, 2]], [[3, 4, 5, 5, 5]]]


@settings(deadline=None)
@given(seconds=st.floats(1.0, 2.0**31) | st.integers(0, 40).map(lambda power: 2.0**power))
def test_time_falls_in_its_octave(seconds):
    bucket = int(time_buckets(torch.tensor([seconds], dtype=torch.float64)))
    # A float's exponent, exactly: a logarithm rounds up to the next octave just below it.
    assert bucket == min(TIME_BUCKETS - 1, math.frexp(seconds)[1])
    assert 2.0 ** (bucket - 1) <= seconds


def test_less_than_a_second_is_at_once():
    assert time_buckets(torch.tensor([0.0, 0.3, 0.999, 1.0])).tolist() == [0, 0, 0, 1]
    bias = TimeBias(2)
    with torch.no_grad():
        bias.table.copy_(torch.arange(2.0 * TIME_BUCKETS).view(2, -1))
    found = bias(torch.tensor([[0.0, 5.0]], dtype=torch.float64))
    assert found.shape == (1, 2, 2, 2)
    assert found[0, :, 1, 0].tolist() == [3.0, TIME_BUCKETS + 3.0]


@pytest.mark.parametrize("shape", [(1, 2, 5, 5), (3, 2, 5, 5), (3, 1, 5, 5)])
def test_biased_attention_is_torchs_and_its_gradients_finite_differences(shape):
    random = torch.Generator().manual_seed(0)
    parts = [torch.randn(3, 2, 5, 4, generator=random, dtype=torch.float64) for _ in range(3)]
    parts.append(torch.randn(shape, generator=random, dtype=torch.float64))
    wanted = functional.scaled_dot_product_attention(*parts[:3], attn_mask=parts[3])
    torch.testing.assert_close(biased_attention(*parts), wanted)
    for part in parts:
        part.requires_grad_()
    assert torch.autograd.gradcheck(biased_attention, parts, fast_mode=True)


def test_a_sequence_has_one_mask_and_keeps_its_mean():
    torch.manual_seed(0)
    dropout = LockedDropout(0.25)
    found = dropout(torch.ones(400, 3, 50))
    assert torch.equal(found, found[:, :1].expand_as(found))
    assert sorted(set(found.flatten().tolist())) == pytest.approx([0.0, 4 / 3])
    # 20,000 draws: one standard error of the mean is .0041.
    assert found[:, 0].mean().item() == pytest.approx(1.0, abs=0.017)
    assert not torch.equal(found[0], found[1])
    dropout.eval()
    assert torch.equal(dropout(found), found)


def test_saved_names_are_the_ones_that_answers_read():
    def names(**options):
        return {name for name, _ in SequentialNetwork(6, width=4, layers=1, **options).named_parameters()}

    block = {
        f"blocks.0.{part}.{kind}"
        for part in ("norms.0", "norms.1", "attention.into", "attention.out", "forward_layer.into",
                     "forward_layer.out")
        for kind in ("weight", "bias")
    }  # fmt: skip
    plain = block | {"items", "last_norm.weight", "last_norm.bias"}
    gates = {f"blocks.0.gates.{i}.{kind}" for i in (0, 1) for kind in ("weight", "bias")}
    assert names() == plain
    assert names(gated=True) == plain | gates
    assert names(positions="steps", times=True) == plain | {"distances.table", "times.table"}
    assert names(positions="places") == plain | {"places"}
    assert names(ordered=False, times=True) == plain | {"asking"}


@GPU
@each_option
def test_on_a_gpu_it_is_the_same(options):
    net = network(**options).float()
    given = histories()
    wanted = net(given)
    moved = {name: getattr(given, name).cuda() for name in ("items", "lengths", "seconds", "weights")}
    net = nn.Module.cuda(net)
    torch.testing.assert_close(net(Histories(**moved)).cpu(), wanted, rtol=1e-3, atol=1e-3)
    with torch.autocast("cuda", torch.bfloat16):
        half = net(Histories(**moved)).float().cpu()
    assert (half - wanted).norm() < 0.03 * wanted.norm()
