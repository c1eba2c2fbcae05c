"""What a GPU would hold, counted on a CPU by the same steps: predicted, and within a card's memory."""

from dataclasses import replace

import pytest
import torch
from tests.train.live import Live

from matinee.networks import losses
from matinee.networks.chunks import GPU_BYTES, chunk_rows
from matinee.networks.losses import sampled_loss, softmax_loss
from matinee.networks.sequential import Histories, SequentialNetwork
from matinee.train import memory
from matinee.train.adamw import AdamW
from matinee.train.memory import NetworkSize, predicted_gpu_bytes

MILLION = NetworkSize(n_items=1_000_000, batch_events=16_384, half=True)
GIB = 2**30


def live_bytes(size: NetworkSize) -> int:
    """The most that tensors hold in two steps with a GPU's chunks."""
    torch.manual_seed(0)
    rows = size.batch_events // size.longest
    histories = Histories(
        items=torch.randint(size.n_items, (rows, size.longest)), lengths=torch.full((rows,), size.longest)
    )
    targets = torch.randint(size.n_items, (rows * size.longest,))
    with Live() as live:
        network = SequentialNetwork(size.n_items, width=size.width, hidden=size.hidden, longest=size.longest)
        average = [weights.detach().clone() for weights in network.parameters()]
        optimiser = AdamW(dict(network.named_parameters()), betas=(0.9, 0.98))
        for _ in range(2):
            with torch.autocast("cpu", torch.bfloat16, enabled=size.half):
                table = network.table()
                vectors = network(histories, table).flatten(0, 1)
                if size.drawn:
                    drawn = torch.randint(size.n_items, (size.drawn,))
                    loss = sampled_loss(vectors, table, targets, drawn)
                else:
                    loss = softmax_loss(vectors, table, targets)
            loss.backward()
            optimiser.step(0.01)
            torch._foreach_lerp_(average, list(network.parameters()), 0.1)
            del loss, vectors, table
    return live.peak


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"half": True},
        {"n_items": 100_000, "width": 16, "batch_events": 300, "longest": 50},
        {"n_items": 50_000, "width": 64, "half": True, "drawn": 256},
    ],
)
def test_the_prediction_is_what_steps_hold(more, monkeypatch):
    monkeypatch.setattr(losses, "chunk_rows", lambda n, items, _, each: chunk_rows(n, items, "cuda", each))
    small = NetworkSize(n_items=20_000, width=32, hidden=128, longest=100, batch_events=2_000)
    size = replace(small, **more)
    predicted = predicted_gpu_bytes(size) - memory._WORKSPACE
    assert 0.9 < predicted / live_bytes(size) < 1.25


def test_the_count_can_tell():
    with Live() as live:
        kept = [torch.zeros(2**20) for _ in range(3)]
        view = kept[0].view(2, -1).T
        del kept[1:]
        torch.ones(2**18)
    assert live.peak == 3 * 2**22
    assert live.now == 2**22
    assert len(view)


@pytest.mark.parametrize(("width", "most"), [(64, 8), (128, 12)])
def test_a_million_items_train_on_a_card_of_24_gb(width, most):
    for half in (True, False):
        for layers in (2, 4):
            size = replace(MILLION, width=width, hidden=4 * width, layers=layers, half=half)
            assert predicted_gpu_bytes(size) < most * GIB
    # All logits of a batch at once would be more than the card.
    assert 2 * MILLION.batch_events * MILLION.n_items > 24 * GIB


def test_what_grows_with_the_catalogue_is_tables_and_no_chunk():
    one, ten = (predicted_gpu_bytes(replace(MILLION, n_items=n)) for n in (1_000_000, 10_000_000))
    assert ten - one < 8 * 9_000_000 * 64 * 4
    assert one > GPU_BYTES // 2
