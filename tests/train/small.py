"""A network and a task that are learnt in a second: which of a few items follows which."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from matinee.networks.blocks import LockedDropout

N_ITEMS, ROWS = 12, 32


class NextItem(nn.Module):
    """Tied item vectors and one hidden layer, with dropout, so that random streams matter."""

    def __init__(self, seed: int = 0, dropout: float = 0.2) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.items = nn.Parameter(torch.randn(N_ITEMS, 16) * 0.2)
            self.hidden = nn.Linear(16, 32)
            self.out = nn.Linear(32, 16)
        self.dropout = LockedDropout(dropout)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, items: Tensor) -> Tensor:
        """Logits of what comes next."""
        if self.training:
            self.calls += 1
        x = self.dropout(self.items[items][:, None])[:, 0]
        return self.out(torch.relu(self.hidden(x))) @ self.items.T


Batch = tuple[Tensor, Tensor]


def made_passes(steps: int = 6, seed: int = 0) -> Callable[[int], list[Batch]]:
    """Item i is followed by 5 i + 3, nine times of ten."""

    def draw(epoch: int) -> list[Batch]:
        random = torch.Generator().manual_seed(1000 * seed + epoch)
        batches = []
        for _ in range(steps):
            items = torch.randint(N_ITEMS, (ROWS,), generator=random)
            other = torch.randint(N_ITEMS, (ROWS,), generator=random)
            noisy = torch.rand(ROWS, generator=random) < 0.1
            batches.append((items, torch.where(noisy, other, (5 * items + 3) % N_ITEMS)))
        return batches

    return draw


def loss_of(network: nn.Module, batch: Batch) -> tuple[Tensor, int]:
    items, after = batch
    return functional.cross_entropy(network(items), after), len(items)


def share_right(network: nn.Module) -> float:
    items = torch.arange(N_ITEMS)
    return float((network(items).argmax(1) == (5 * items + 3) % N_ITEMS).float().mean())
