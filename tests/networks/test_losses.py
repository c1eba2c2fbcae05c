"""The losses against the plain cross-entropy, finite differences, and a bound on memory."""

import math
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'matinee[network]'")

from hypothesis import given, settings  # noqa: E402 (after torch is known to be there)
from hypothesis import strategies as st  # noqa: E402
from torch.nn import functional  # noqa: E402

from matinee.networks import chunks, losses  # noqa: E402
from matinee.networks.chunks import GPU_BYTES, chunk_rows  # noqa: E402
from matinee.networks.losses import sampled_loss, softmax_loss  # noqa: E402

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def made(predictions, items, width=6, seed=0, dtype=torch.float64, spread=1.0):
    """Vectors, items, targets and weights."""
    random = torch.Generator().manual_seed(seed)
    vectors = spread * torch.randn(predictions, width, generator=random, dtype=torch.float64)
    table = torch.randn(items, width, generator=random, dtype=torch.float64)
    targets = torch.randint(0, items, (predictions,), generator=random)
    weights = torch.rand(predictions, generator=random, dtype=torch.float64) + 0.1
    return (
        vectors.to(dtype).requires_grad_(),
        table.to(dtype).requires_grad_(),
        targets,
        weights.to(dtype),
    )


def plain(vectors, items, targets, weights=None, temperature=1.0, smoothing=0.0):
    """The same, obvious, with all logits at once."""
    each = functional.cross_entropy(
        vectors @ items.T / temperature, targets, reduction="none", label_smoothing=smoothing
    )
    weights = torch.ones_like(each) if weights is None else weights
    return (each * weights).sum() / weights.sum()


def value_and_gradients(loss, vectors, items, *rest, **more):
    vectors, items = (x.detach().clone().requires_grad_() for x in (vectors, items))
    found = loss(vectors, items, *rest, **more)
    (3.0 * found).backward()
    return found.detach(), vectors.grad, items.grad


def held_to_plain(vectors, items, targets, rtol, atol, **more):
    found = value_and_gradients(softmax_loss, vectors, items, targets, **more)
    wanted = value_and_gradients(plain, vectors, items, targets, **more)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=rtol, atol=atol)


@pytest.fixture
def small_chunks(monkeypatch):
    """Sixteen predictions a chunk, so that few predictions cross borders."""
    monkeypatch.setattr(chunks, "_CPU_CELLS", 1)


@settings(max_examples=60, deadline=None)
@given(
    predictions=st.sampled_from([1, 2, 15, 16, 17, 32, 33]),
    items=st.integers(1, 40),
    temperature=st.floats(0.05, 5.0),
    smoothing=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    weighted=st.booleans(),
    single=st.booleans(),
    seed=st.integers(0, 99),
)
def test_softmax_loss_is_the_plain_one_with_its_gradients(  # noqa: PLR0917 (what hypothesis draws)
    predictions, items, temperature, smoothing, weighted, single, seed
):
    dtype = torch.float32 if single else torch.float64
    vectors, table, targets, weights = made(predictions, items, seed=seed, dtype=dtype, spread=0.3)
    more = {"temperature": temperature, "smoothing": smoothing, "weights": weights if weighted else None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "_CPU_CELLS", 1)
        held_to_plain(
            vectors, table, targets, rtol=2e-4 if single else 1e-9, atol=2e-5 if single else 1e-11, **more
        )


def test_chunks_hold_what_they_should():
    assert chunk_rows(1000, 3416, "cpu") == 2**19 // 3416
    assert chunk_rows(1000, 10**9, "cpu") == 16
    assert chunk_rows(5, 10, "cpu") == 5
    assert chunk_rows(0, 10, "cpu") == 1


def test_a_gpus_chunk_is_wide_and_within_its_bytes():
    assert chunk_rows(4096, 3_416, "cuda") == 4096
    assert chunk_rows(10**6, 3_416, "cuda") == 2**24 // 3_416
    assert chunk_rows(10**6, 100_000, "cuda", 2) == 512
    for items in (300_000, 1_000_000, 10_000_000):
        for each in (2, 4):
            rows = chunk_rows(10**6, items, "cuda", each)
            assert rows * items * each <= GPU_BYTES
            # As wide as fits, up to where width pays no more.
            assert rows == 512 or (rows + 1) * items * each > GPU_BYTES


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_softmax_loss_gradients_are_finite_differences(smoothing, small_chunks):
    vectors, table, targets, weights = made(19, 7, width=3)

    def loss(vectors, table):
        return softmax_loss(vectors, table, targets, weights=weights, temperature=0.7, smoothing=smoothing)

    assert torch.autograd.gradcheck(loss, (vectors, table), eps=1e-6, atol=1e-8, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_sampled_loss_gradients_are_finite_differences(smoothing):
    vectors, table, targets, weights = made(5, 7, width=3)
    drawn = torch.tensor([0, 3, 3, int(targets[0])])

    def loss(vectors, table):
        return sampled_loss(
            vectors, table, targets, drawn, weights=weights, temperature=0.7, smoothing=smoothing
        )

    assert torch.autograd.gradcheck(loss, (vectors, table), eps=1e-6, atol=1e-8, rtol=1e-5)


def test_the_backward_pass_can_be_asked_twice():
    vectors, table, targets, _ = made(5, 7)
    loss = softmax_loss(vectors, table, targets)
    first = torch.autograd.grad(loss, (vectors, table), retain_graph=True)
    second = torch.autograd.grad(loss, (vectors, table))
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_double_backward_is_refused_and_not_wrong():
    vectors, table, targets, _ = made(5, 7)
    (grad,) = torch.autograd.grad(softmax_loss(vectors, table, targets), vectors, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        grad.sum().backward()


def test_no_prediction_and_no_weight_are_a_loss_of_zero():
    vectors, table, targets, weights = made(0, 7)
    loss, of_vectors, of_items = value_and_gradients(softmax_loss, vectors, table, targets)
    assert loss == 0
    assert of_vectors.shape == (0, 6)
    assert not of_items.any()
    vectors, table, targets, weights = made(4, 7)
    for part in value_and_gradients(softmax_loss, vectors, table, targets, weights=0 * weights):
        assert not part.any()


def test_far_logits_keep_their_gradient():
    vectors = torch.tensor([[400.0]], requires_grad=True)
    table = torch.tensor([[1.0], [-1.0]], requires_grad=True)
    loss = softmax_loss(vectors, table, torch.tensor([1]))
    loss.backward()
    # The chance is below the smallest float: the value stops there, the gradient does not.
    assert 87 < loss.item() < math.inf
    assert vectors.grad.item() == pytest.approx(2.0)
    assert table.grad.flatten().tolist() == pytest.approx([400.0, -400.0])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_bfloat16_is_near_the_plain_one(smoothing):
    vectors, table, targets, weights = made(300, 500, width=16, dtype=torch.float32, spread=0.3)
    more = {"weights": weights, "temperature": 0.8, "smoothing": smoothing}
    wanted = value_and_gradients(plain, vectors, table, targets, **more)
    with torch.autocast("cpu", torch.bfloat16):
        found = value_and_gradients(softmax_loss, vectors, table, targets, **more)
    assert found[0].dtype == torch.float32
    assert found[0].item() == pytest.approx(wanted[0].item(), rel=5e-3)
    for one, other in zip(found[1:], wanted[1:], strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < 0.02 * other.norm()


MEMORY = """
import resource, torch
from matinee.networks.losses import softmax_loss
torch.set_num_threads(1)
def run(n, items):
    vectors = torch.randn(n, 8, requires_grad=True)
    table = torch.randn(items, 8, requires_grad=True)
    softmax_loss(vectors, table, torch.randint(0, items, (n,))).backward()
run(64, 64)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
run(20_000, 20_000)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_logits_are_never_kept():
    run = subprocess.run([sys.executable, "-c", MEMORY], check=True, capture_output=True, text=True)
    # All logits are 1,526 MiB. Vectors, items, their gradients and copies, and one chunk: under 40.
    assert float(run.stdout) < 40


def draws(n, items, seed):
    return torch.randint(0, items, (n,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_sampled_loss_estimates_the_full_one(smoothing):
    vectors, table, targets, weights = made(40, 60, seed=3, spread=0.5)
    more = {"weights": weights, "temperature": 0.9, "smoothing": smoothing}
    wanted = value_and_gradients(softmax_loss, vectors, table, targets, **more)
    found = value_and_gradients(sampled_loss, vectors, table, targets, draws(200_000, 60, 0), **more)
    assert found[0].item() == pytest.approx(wanted[0].item(), abs=4e-3)
    for one, other in zip(found[1:], wanted[1:], strict=True):
        assert (one - other).norm() < 0.02 * other.norm()


def test_the_sum_that_sampled_loss_estimates_is_without_bias():
    """Few items, few draws: one item too few or too many in the correction would show tenfold."""
    items = 8
    vectors, table, _, _ = made(1, items, seed=5)
    target = torch.tensor([2])
    own = (vectors @ table[2]).detach()
    sums = torch.stack(
        [
            (sampled_loss(vectors, table, target, draws(4, items, seed)).detach() + own).exp().squeeze()
            for seed in range(6000)
        ]
    )
    wanted = (vectors @ table.T).exp().sum().item()
    error = sums.std().item() / math.sqrt(len(sums))
    assert abs(sums.mean().item() - wanted) < 4 * error
    # The test can fail: (items - 1) / draws instead of items / draws would be this far off.
    assert (wanted - own.exp().item()) / items > 8 * error


def test_accidental_hits_are_hidden():
    vectors, table, targets, _ = made(1, 5)
    own = int(targets)
    drawn = torch.tensor([own, own, (own + 1) % 5])
    logit, other = (vectors @ table.T)[0, [own, drawn[2]]]
    wanted = torch.log(logit.exp() + 5 / 3 * other.exp()) - logit
    torch.testing.assert_close(sampled_loss(vectors, table, targets, drawn), wanted)
    only_hits = sampled_loss(vectors, table, targets, drawn[:2])
    assert only_hits.item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.skipif(not hasattr(functional, "linear_cross_entropy"), reason="needs torch 2.13")
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_torchs_own_fused_loss_is_the_same(smoothing):
    vectors, table, targets, _ = made(40, 60)

    def torchs(vectors, items, targets):
        return functional.linear_cross_entropy(vectors, items, targets, label_smoothing=smoothing)

    wanted = value_and_gradients(torchs, vectors, table, targets)
    found = value_and_gradients(softmax_loss, vectors, table, targets, smoothing=smoothing)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("half", [False, True])
def test_wide_chunks_are_the_same_as_narrow_ones(half, monkeypatch):
    """A GPU's rule on a CPU: what differs there is the chunk and the kernel, and no formula."""
    vectors, table, targets, weights = made(700, 900, width=32, dtype=torch.float32, spread=0.3)
    found = []
    for rule in ("cpu", "cuda"):
        widths = []

        def rows(predictions, items, _, each, rule=rule, widths=widths):
            widths.append(chunk_rows(predictions, items, rule, each))
            return widths[-1]

        monkeypatch.setattr(losses, "chunk_rows", rows)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = value_and_gradients(softmax_loss, vectors, table, targets, weights=weights, smoothing=0.1)
        found.append((widths[0], loss))
    assert found[0][0] < found[1][0] == 700
    for one, other in zip(found[0][1], found[1][1], strict=True):
        # In bfloat16 sums over chunks are rounded once a chunk.
        assert (one - other).norm() <= (5e-3 if half else 1e-6) * other.norm()


@pytest.mark.cuda
@GPU
@pytest.mark.parametrize("half", [False, True])
def test_on_a_gpu_the_loss_is_the_same(half):
    vectors, table, targets, weights = made(700, 900, width=32, dtype=torch.float32, spread=0.3)
    more = {"temperature": 0.8, "smoothing": 0.1}
    wanted = value_and_gradients(plain, vectors, table, targets, weights=weights, **more)
    with torch.autocast("cuda", torch.bfloat16, enabled=half):
        found = value_and_gradients(
            softmax_loss, vectors.cuda(), table.cuda(), targets.cuda(), weights=weights.cuda(), **more
        )
    for one, other in zip(found, wanted, strict=True):
        assert (one.cpu() - other).norm() < (2e-2 if half else 1e-3) * other.norm()
