"""Batches as tensors, made from positions among the events of a log."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from matinee.answers.event_context import GAP
from matinee.core.processes import ALONE, Processes
from matinee.core.types import Bool, Float32, Int64
from matinee.core.types import Histories as Events
from matinee.networks.sequential import Histories, SequentialNetwork
from matinee.train.batches import Share
from matinee.train.beside import Beside


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one step learns from.

    Attributes:
        histories: what the network reads.
        rows: int64, shape (predictions,): which of the network's outputs, flattened, each prediction is from.
        targets: int64, shape (predictions,): the item that came.
        weights: float32, shape (predictions,): how much each prediction counts; None: 1.
        share: what part of a larger batch it is; None: it is a whole one.
        noes: int64, each of shape (noes,): outputs and the items that they must not ask for; None: none in
            the whole batch.
    """

    histories: Histories
    rows: Tensor
    targets: Tensor
    weights: Tensor | None = None
    share: Share | None = None
    noes: tuple[Tensor, Tensor] | None = None

    def vectors(self, network: SequentialNetwork, table: Tensor | None = None) -> Tensor:
        """What the network asks for at each prediction: shape (predictions, width).

        Args:
            network: reads the histories.
            table: the vector of every item; None: the network makes it.
        """
        return self.outputs(network, table)[self.rows]

    def outputs(self, network: SequentialNetwork, table: Tensor | None = None) -> Tensor:
        """The network's outputs, flattened: shape (outputs, width); arguments as in `vectors`."""
        found: Tensor = network(self.histories, table)
        return found.flatten(0, 1)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What a batch is made of, as positions among the events of a log.

    Attributes:
        first: int64, shape (histories,): some event of each.
        read: int64, shape (histories, events): what is read of each.
        lengths: int64, shape (histories,): how many of these are no filling.
        outputs: of the network, for each history.
        rows: int64, shape (predictions,): which output, flattened, each prediction is from.
        foretold: int64, shape (predictions,): the event that it foretells.
        noes: int64, each of shape (noes,): which output, flattened, must not ask for which item; None: none.
    """

    first: Int64
    read: Int64
    lengths: Int64
    outputs: int
    rows: Int64
    foretold: Int64
    noes: tuple[Int64, Int64] | None = None

    def only(self, kept: Bool) -> Drawn:
        """The same histories with some of the predictions."""
        return replace(self, rows=self.rows[kept], foretold=self.foretold[kept])

    def of(self, share: Share) -> Drawn:
        """What one of several processes takes of it."""
        some, noes = share.rows, self.noes
        rows, kept = self._within(self.rows, share)
        if noes is not None:
            turned, mine = self._within(noes[0], share)
            noes = turned, noes[1][mine]
        return replace(
            self,
            first=self.first[some],
            read=self.read[some],
            lengths=self.lengths[some],
            rows=rows,
            foretold=self.foretold[kept],
            noes=noes,
        )

    def _within(self, rows: Int64, share: Share) -> tuple[Int64, Bool]:
        """Outputs as those of a share, and which of them it has."""
        owners = rows // self.outputs
        mine = share.mine(owners)
        return (owners[mine] // share.step) * self.outputs + rows[mine] % self.outputs, mine


class Columns:
    """The columns of a log as tensors are made from them.

    Args:
        events: of the log.
        times: whether times are looked at.
        beside: what else is known; None: nothing.
        processes: which of the processes that take every batch together.
    """

    def __init__(
        self, events: Events, *, times: bool, beside: Beside | None, processes: Processes = ALONE
    ) -> None:
        self._items: Int64 = np.asarray(events.items, dtype=np.int64)
        self._offsets = events.offsets
        self._weights: Float32 | None = events.weights
        self._targets: Bool | None = events.targets
        self._seconds = events.times / 1000.0 if times and events.times is not None else None
        self._beside = beside or Beside()
        self._processes = processes

    def batch(self, drawn: Drawn) -> Batch | None:
        """A batch, or this process's share of it; None where nothing is foretold."""
        if self._targets is not None:
            drawn = drawn.only(self._targets[drawn.foretold])
        if not len(drawn.rows):
            return None
        if drawn.noes is not None and not len(drawn.noes[0]):
            # Said of the whole batch: whoever has a share of it draws what the others draw.
            drawn = replace(drawn, noes=None)
        share = None
        if self._processes.size > 1:
            counts = None if self._weights is None else self._weights[drawn.foretold]
            share = Share.of(len(drawn.read), drawn.rows // drawn.outputs, counts, self._processes)
            drawn = drawn.of(share)
        read, noes = drawn.read, drawn.noes
        histories = Histories(
            items=_tensor(self._items[read]),
            lengths=_tensor(drawn.lengths),
            seconds=None if self._seconds is None else _tensor(self._seconds[read]),
            weights=None if self._weights is None else _tensor(self._weights[read]),
            codes={name: self._codes(name, read) for name in self._beside.codes} or None,
            regions=self._regions(drawn.first),
        )
        return Batch(
            histories=histories,
            rows=_tensor(drawn.rows),
            targets=_tensor(self._items[drawn.foretold]),
            weights=None if self._weights is None else _tensor(self._weights[drawn.foretold]),
            share=share,
            noes=None if noes is None else (_tensor(noes[0]), _tensor(noes[1])),
        )

    def _codes(self, name: str, read: Int64) -> Tensor:
        """What is known of events; of the time before the first one that is read nothing is."""
        codes = self._beside.codes[name][read].astype(np.int64)
        if name == GAP:
            codes[:, :1] = 0
        return _tensor(codes)

    def _regions(self, first: Int64) -> Tensor | None:
        regions = self._beside.regions
        if regions is None:
            return None
        return _tensor(regions[np.searchsorted(self._offsets, first, side="right") - 1])


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))
