"""A large table of which a step touches few rows: its moments and its average, row by row.

A dense step of AdamW reads and writes a table's weights, gradient, two moments and average in full, whichever
rows its batch was about: of 200,000 rows of width 64 half a gigabyte a step, for some 10,000 rows that
have a gradient. Here a step costs what its rows cost.

`RowMoments`: Adam (Kingma and Ba 2015) with one second moment for each row, the mean over the row's numbers
(as row-wise Adagrad has, Gupta et al. 2014, "Training highly multiclass classifiers"), and a clock for each
row: moments and their correction count the steps that touched the row. A row that is not touched does not
move, where dense Adam would move it further along its last gradients; docs/scale.md has what that comes to.

`RowAverage`: the moving average of the weights. A row that stands still draws its average nearer by the
product of all decays since, so it is brought up to date when the row moves next or somebody looks: but for
rounding the same average as the dense one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

_EPS = 1e-8
# A decay of 0 forgets all: so little of it is left.
_LEAST = 1e-30


class RowMoments:
    """The moments of one table.

    Args:
        table: shape (rows, width).
    """

    def __init__(self, table: Tensor) -> None:
        self._first = torch.zeros_like(table)
        self._second = table.new_zeros(len(table))
        self._counts = table.new_zeros(len(table))

    def step(
        self, table: Tensor, gradient: Tensor, rate: float, betas: tuple[float, float]
    ) -> tuple[Tensor, Tensor]:
        """Move the rows that have a gradient.

        Args:
            table: shape (rows, width); changed.
            gradient: sparse and coalesced, of the same shape.
            rate: learning rate of this step.
            betas: decays of the first and the second moment.

        Returns:
            Which rows were moved, int64, and what they were before.
        """
        rows, slopes = gradient.indices()[0], gradient.values()
        squares = torch.linalg.vector_norm(slopes, dim=1).square_().div_(slopes.shape[1])
        counts = self._counts.index_select(0, rows) + 1.0
        first = self._first.index_select(0, rows).lerp_(slopes, 1.0 - betas[0])
        second = self._second.index_select(0, rows).lerp_(squares, 1.0 - betas[1])
        self._counts.index_copy_(0, rows, counts)
        self._first.index_copy_(0, rows, first)
        self._second.index_copy_(0, rows, second)
        lengths = (second / (1.0 - betas[1] ** counts)).sqrt_().add_(_EPS)
        steps = rate / ((1.0 - betas[0] ** counts) * lengths)
        before = table.index_select(0, rows)
        table.index_copy_(0, rows, torch.addcmul(before, first, steps[:, None], value=-1.0))
        return rows, before

    def tensors(self) -> dict[str, Tensor]:
        """What `load` takes."""
        return {"first": self._first, "second": self._second, "counts": self._counts}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up moments where they stood."""
        device = self._first.device
        self._first, self._second, self._counts = (
            tensors[name].to(device, copy=True) for name in ("first", "second", "counts")
        )


class RowAverage:
    """How far the average of each row of one table is up to date.

    Args:
        average: shape (rows, width): it begins as the table's copy.
    """

    def __init__(self, average: Tensor) -> None:
        # Logs of products of decays: of all steps so far, and of those that each row has in its average.
        self._now = 0.0
        self._until = torch.zeros(len(average), dtype=torch.float64, device=average.device)

    def follow(self, average: Tensor, moved: tuple[Tensor, Tensor], decay: float) -> None:
        """Count one step, after some rows were moved.

        Args:
            average: shape (rows, width); changed.
            moved: the rows that this step moved, int64, and what they were before.
            decay: of this step.
        """
        rows, before = moved
        self._catch_up(average, rows, before)
        self._now += math.log(max(decay, _LEAST))

    def settle(self, average: Tensor, table: Tensor) -> None:
        """Bring every row up to date."""
        behind = torch.nonzero(self._until != self._now)[:, 0]
        self._catch_up(average, behind, table.index_select(0, behind))

    def tensors(self) -> dict[str, Tensor]:
        """What `load` takes."""
        return {"until": self._until, "now": torch.tensor(self._now, dtype=torch.float64)}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take it up where it stood."""
        self._until = tensors["until"].to(self._until.device, copy=True)
        self._now = float(tensors["now"])

    def _catch_up(self, average: Tensor, rows: Tensor, stood: Tensor) -> None:
        """Bring some rows up to date that stood at some weights until now."""
        shares = (self._now - self._until.index_select(0, rows)).exp().to(average.dtype)
        drawn = torch.lerp(stood, average.index_select(0, rows), shares[:, None])
        average.index_copy_(0, rows, drawn)
        self._until.index_fill_(0, rows, self._now)
