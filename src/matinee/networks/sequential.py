"""A causal transformer over a history: at each event, a vector whose product with an item's is its score.

Self-attention over item vectors that also score the answer (tied; Kang and McAuley 2018, SASRec), with blocks
of `blocks.py` and distances of `attention_bias.py`. Histories stand left-aligned in a batch: what fills up a
row comes after its events, where causal attention never sees it, so no filling item is needed.

A log without an order has no next item. There (`ordered=False`) every event sees every other one, no distance
counts, and one learnt vector at the end asks: its output scores the items that go with the set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from matinee.networks.attention_bias import DistanceBias, StepBias, TimeBias
from matinee.networks.blocks import Block, LockedDropout
from matinee.networks.event_context import EventContext, Regions
from matinee.networks.item_content import ItemContent

# Exact enough for a softmax, and finite in every precision, so that a row all hidden is no NaN.
HIDDEN = -1e4


@dataclass(frozen=True, kw_only=True)
class Histories:
    """A batch of histories, left-aligned.

    Attributes:
        items: int64, shape (histories, events): item codes; anything beyond a history's length.
        lengths: int64, shape (histories,).
        seconds: float64, shape (histories, events): times of events, where the network looks at them.
        weights: float32, shape (histories, events): what each event counts as seen by later ones; None: 1.
        codes: int64, shape (histories, events), by sort: what else is known of each event, 0 where nothing.
        regions: int64, shape (histories,): where each viewer is, below 0 where nobody knows.
    """

    items: Tensor
    lengths: Tensor
    seconds: Tensor | None = None
    weights: Tensor | None = None
    codes: Mapping[str, Tensor] | None = None
    regions: Tensor | None = None


class SequentialNetwork(nn.Module):
    """Item vectors, blocks, a last norm.

    Args:
        n_items: size of the catalogue.
        width: of item vectors; a multiple of `heads`.
        layers: how many blocks.
        heads: attention heads of each.
        hidden: width of a block's hidden layer.
        gated: whether blocks are gated (LiGR).
        positions: "distance" (decay per head), "steps" (learnt per distance), "places" (a learnt vector for
            each place of a window, as SASRec's, but counted from the first event), or "none".
        decays: of "distance": a rate for each head.
        times: whether time between events is added to attention.
        longest: the longest history.
        ordered: whether the order of events means something.
        dropout: share of features dropped after each branch.
        item_dropout: share of features dropped from the item vectors that come in.
        opening: whether a learnt vector that stands for the beginning comes before each ordered history; what
            it asks for is the first event.
        content: what items are like by what they are, added to their own vectors; None: nothing is.
        id_dropout: with content, share of the items that a step of training knows by their content alone.
        told: what is known of an event beside its item: for each sort how many codes, 0 included.
        regions: how many regions there are; 0: regions do not matter.
    """

    def __init__(  # noqa: PLR0913 (plain arguments, so that it can be built by hand)
        self,
        n_items: int,
        *,
        width: int = 64,
        layers: int = 2,
        heads: int = 2,
        hidden: int = 256,
        gated: bool = False,
        positions: str = "distance",
        decays: Sequence[float] = (0.6, 0.95),
        times: bool = False,
        longest: int = 200,
        ordered: bool = True,
        dropout: float = 0.2,
        item_dropout: float = 0.2,
        opening: bool = False,
        content: ItemContent | None = None,
        id_dropout: float = 0.0,
        told: Mapping[str, int] | None = None,
        regions: int = 0,
    ) -> None:
        super().__init__()
        self.ordered = ordered
        self.content, self.id_dropout = content, id_dropout
        self.items = nn.Parameter(torch.empty(n_items, width))
        self.opening = nn.Parameter(torch.empty(width)) if ordered and opening else None
        self.asking = None if ordered else nn.Parameter(torch.empty(width))
        self.places = nn.Parameter(torch.empty(longest, width)) if ordered and positions == "places" else None
        self.distances: nn.Module | None = None
        if ordered and positions == "distance":
            self.distances = DistanceBias(decays)
        elif ordered and positions == "steps":
            self.distances = StepBias(heads, longest)
        self.times = TimeBias(heads) if ordered and times else None
        self.context = EventContext(told, width) if told else None
        self.regions = Regions(regions, width) if regions else None
        self.blocks = nn.ModuleList([Block(width, heads, hidden, gated, dropout) for _ in range(layers)])
        self.last_norm = nn.LayerNorm(width)
        self.item_dropout = LockedDropout(item_dropout)
        self._start(width, layers)

    def table(self, rows: Tensor | None = None) -> Tensor:
        """The vector of every item, or of some, as read and as answered: shape (items, width).

        Of some (int64 codes, each once), the gradient of the items' own vectors is sparse: it holds these
        rows alone.

        In training with content, some items are without their own vectors, others at every call.
        """
        own: Tensor = self.items if rows is None else functional.embedding(rows, self.items, sparse=True)
        if self.content is None:
            return own
        if self.training and self.id_dropout:
            kept = torch.empty(len(own), 1, device=own.device).bernoulli_(1.0 - self.id_dropout)
            own = own * kept
        return own + self.content(rows)  # type: ignore[no-any-return]

    def forward(self, histories: Histories, table: Tensor | None = None) -> Tensor:
        """What each event, or each whole history, asks for.

        Args:
            histories: what is read.
            table: the vector of every item, as `table` makes it; None: it is made here.

        Returns:
            Shape (histories, events, width) where events are ordered, with an opening one more at the front;
            else (histories, 1, width).
        """
        table = self.table() if table is None else table
        if self.asking is not None:
            return self._located(self._asked(histories, table, self.asking), histories)
        x = self._read(histories, table)
        if self.opening is not None:
            x = torch.cat([self.opening.expand(len(x), 1, -1), x], dim=1)
            histories = _opened(histories)
        if self.places is not None:
            x = x + self.places[: x.shape[1]]
        x = self.item_dropout(x)
        bias = self._bias(histories)
        for block in self.blocks:
            x = block(x, bias)
        return self._located(self.last_norm(x), histories)

    def _read(self, histories: Histories, table: Tensor) -> Tensor:
        """Events as they come in: their items' vectors, and those of what else is known of them."""
        x = nn.functional.embedding(histories.items, table)
        if self.context is not None and histories.codes is not None:
            x = x + self.context(histories.codes)
        return x

    def _located(self, asked: Tensor, histories: Histories) -> Tensor:
        """What is asked for, with what is liked where the viewers are."""
        if self.regions is None or histories.regions is None:
            return asked
        return asked + self.regions(histories.regions)  # type: ignore[no-any-return]

    def _bias(self, histories: Histories) -> Tensor:
        """What is added to attention: later events hidden, distances, times, weights."""
        events = histories.items.shape[1]
        at = torch.arange(events, device=self.items.device)
        steps = at[:, None] - at
        bias = self.items.new_zeros(1, 1, events, events)
        if self.distances is not None:
            bias = bias + self.distances(steps)
        if self.times is not None and histories.seconds is not None:
            bias = bias + self.times(histories.seconds)
        if histories.weights is not None:
            bias = bias + _log_weights(histories.weights) * (steps > 0)
        return bias.masked_fill(steps < 0, HIDDEN)

    def _asked(self, histories: Histories, table: Tensor, asking: Tensor) -> Tensor:
        """The output of the vector that asks, put after each history."""
        n, events = histories.items.shape
        x = self._read(histories, table)
        x = torch.cat([self.item_dropout(x), asking.expand(n, 1, -1)], dim=1)
        at = torch.arange(events + 1, device=self.items.device)
        hidden = (at[None, :] >= histories.lengths[:, None]) & (at < events)
        bias = self.items.new_zeros(n, 1, 1, events + 1)
        if histories.weights is not None:
            bias[..., :events] = _log_weights(histories.weights)
        bias = bias.masked_fill(hidden[:, None, None, :], HIDDEN).expand(n, 1, events + 1, events + 1)
        for block in self.blocks:
            x = block(x, bias)
        return self.last_norm(x[:, -1:])  # type: ignore[no-any-return]

    @torch.no_grad()
    def _start(self, width: int, layers: int) -> None:
        """Small weights into the residual stream, so that depth starts as nearly nothing (Radford 2019)."""
        self.items.normal_(0.0, width**-0.5)
        for vector in (self.asking, self.places, self.opening):
            if vector is not None:
                vector.normal_(0.0, 0.02)
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                deep = math.sqrt(2 * max(layers, 1)) if name.endswith("out") else 1.0
                module.weight.normal_(0.0, 0.02 / deep)
                module.bias.zero_()


def _opened(histories: Histories) -> Histories:
    """Histories with the beginning before the first event: at the same time, of weight 1."""

    def led(column: Tensor | None, first: Tensor | None) -> Tensor | None:
        return None if column is None or first is None else torch.cat([first, column], dim=1)

    seconds, weights = histories.seconds, histories.weights
    start = None if seconds is None else functional.pad(seconds[:, :1], (1 - min(seconds.shape[1], 1), 0))
    return Histories(
        items=functional.pad(histories.items, (1, 0)),
        lengths=histories.lengths + 1,
        seconds=led(seconds, start),
        weights=led(weights, None if weights is None else weights.new_ones(len(weights), 1)),
        regions=histories.regions,
    )


def _log_weights(weights: Tensor) -> Tensor:
    """An event that counts w is attended to as w events would be: shape (histories, 1, 1, events)."""
    return weights.clamp_min(1e-6).log()[:, None, None, :]
