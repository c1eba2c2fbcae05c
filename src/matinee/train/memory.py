"""How much memory training a network will take, from sizes alone: nothing here loads torch.

Counted at the fullest moment of a step, which is the beginning of the backward pass: every copy of the
weights, a checkpoint under way, what each layer keeps for its gradient, and what the loss and the first
gradients need besides. benchmarks/memory_train.py measures how far off it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from matinee.networks.chunks import chunk_rows

_FLOAT = 4
# Torch 2.13 loaded, its kernels used once: anonymous memory beyond that of Python with numpy.
_TORCH = 137 * 2**20
# What a GPU's libraries of products and attention keep for themselves, beyond the context that loading takes.
_WORKSPACE = 128 * 2**20
_STEPS, _TIMES = 512, 33
# Tables that content makes: the sum of features, its square, it bounded, ids kept, both added, and gradients.
_TABLES = 6


@dataclass(frozen=True, kw_only=True)
class NetworkSize:
    """What decides how much memory training a `SequentialNetwork` takes.

    Attributes:
        n_items: size of the catalogue.
        width: of item vectors.
        layers: blocks.
        heads: attention heads of each.
        hidden: width of a block's hidden layer.
        gated: whether blocks are gated.
        positions: as `SequentialNetwork` takes it.
        times: whether times between events are looked at.
        longest: the longest history of a batch.
        batch_events: events of a batch, filling included.
        drawn: items that the loss draws; 0: it looks at all.
        half: whether products are computed in bfloat16.
        average: whether weights are averaged.
        validated: whether the best weights are kept.
        checkpoints: whether checkpoints are written.
        features: what items are known by, of their content; 0: by nothing.
        entries: features of all items together.
        numbers: of an item's vector from a file.
        by_rows: whether a step is told from the rows of its items alone (`matinee.train.rows`).
    """

    n_items: int
    width: int = 64
    layers: int = 2
    heads: int = 2
    hidden: int = 256
    gated: bool = False
    positions: str = "distance"
    times: bool = False
    longest: int = 200
    batch_events: int = 4096
    drawn: int = 0
    half: bool = False
    average: bool = True
    validated: bool = True
    checkpoints: bool = True
    features: int = 0
    entries: int = 0
    numbers: int = 0
    by_rows: bool = False


def predicted_bytes(size: NetworkSize) -> int:
    """Peak anonymous memory of training beyond what the process has before torch is loaded.

    The log, what validation takes and what the start of item vectors takes are not in it.
    """
    table = size.n_items * size.width * _FLOAT
    weights = parameters(size) * _FLOAT
    kept = weights * (3 + size.average + size.validated)
    if size.by_rows:
        # One of the table's moments has a number a row; gradients and content are of the step's rows.
        kept -= table
        table = min(size.n_items, 2 * size.batch_events + size.drawn) * size.width * _FLOAT
        weights -= size.n_items * size.width * _FLOAT - table
    copied = kept if size.checkpoints else 0
    # Item vectors have gradients as answers and as what was read; both stand until they are added up.
    fullest = max(_kept_by_layers(size) + max(_loss(size, table), table + _first_gradients(size)), 3 * table)
    return _TORCH + kept + copied + (weights - table) + fullest + _content(size, table)


def predicted_gpu_bytes(size: NetworkSize) -> int:
    """Peak memory of training on a GPU: what the processor keeps (checkpoints, best weights) is not in it.

    Counted at the fuller of two moments: the loss, which holds its chunk and the gradient of all items, and
    the backward pass, where item vectors have gradients as answers and as what was read.
    """
    table = size.n_items * size.width * _FLOAT
    each = 2 if size.half else _FLOAT
    weights = parameters(size) * _FLOAT
    layers = _kept_by_layers(size)
    if size.drawn:
        loss, tables = 6 * size.batch_events * size.drawn * _FLOAT, 2
    else:
        chunk = each * size.n_items * chunk_rows(size.batch_events, size.n_items, "cuda", each)
        # Beside it the gradient, and the table as products read it: by columns, and by rows where rounded.
        loss, tables = chunk + 2 * table, 3
    fullest = layers + max(loss, tables * table + _first_gradients(size))
    kept = weights * (3 + size.average)
    return _WORKSPACE + kept + (weights - table) + fullest + _content(size, table)


def parameters(size: NetworkSize) -> int:
    """Numbers that are learnt."""
    width, hidden = size.width, _narrow(size)
    into = 2 * hidden if size.gated else hidden
    block = 4 * (width**2 + width) + 4 * width + (width + 1) * into + (hidden + 1) * width
    block += 2 * (width**2 + width) if size.gated else 0
    places = {"places": size.longest * width, "steps": size.heads * min(size.longest, _STEPS)}
    times = size.heads * _TIMES if size.times else 0
    content = (size.features + size.numbers) * width
    rest = 2 * width + places.get(size.positions, 0) + times + content
    return size.n_items * width + size.layers * block + rest


def _kept_by_layers(size: NetworkSize) -> int:
    """What the forward pass keeps for the backward one."""
    width, hidden, learnt = size.width, _narrow(size), _learnt_bias(size)
    # Input, two norms, queries, keys, values, what was seen, the middle; the hidden layer before and after.
    numbers = 8 * width + (4 * hidden + 4 * width if size.gated else 2 * hidden)
    if size.half:
        numbers = 7 * width + (2 * hidden + 3 * width if size.gated else hidden)
    # A bias that is learnt has attention keep its chances, and copies of what they were made from.
    numbers += (size.heads * size.longest + 3 * width) if learnt else size.heads
    ends = 5 * width
    # Of each pair of events: its bias and its octave are kept; what those are made from, in float64, leaves
    # holes that the allocator does not fill (measured).
    bias = (size.heads + 2 + 10) * size.longest if size.times else 0
    return size.batch_events * (size.layers * numbers + ends + bias) * _FLOAT


def _first_gradients(size: NetworkSize) -> int:
    """What the last block's gradients need besides."""
    hidden = _narrow(size)
    numbers = (5 if size.gated else 3) * hidden + 4 * size.width
    if _learnt_bias(size):
        numbers = max(numbers, (2 * size.heads * size.longest) + 4 * size.width)
    return size.batch_events * numbers * _FLOAT


def _loss(size: NetworkSize, table: int) -> int:
    """What the loss needs besides: two gradients of all items, and a chunk of logits or all drawn ones."""
    if size.drawn:
        return max(2 * table, 6 * size.batch_events * size.drawn * _FLOAT)
    return 2 * table + chunk_rows(2**31, size.n_items, "cpu") * size.n_items * _FLOAT


def _content(size: NetworkSize, table: int) -> int:
    """What content takes: the features, and tables of items on the way from them to the one that is used."""
    if not size.features and not size.numbers:
        return 0
    known = size.entries * (2 * 8 + 3 * _FLOAT) + 2 * size.n_items * size.numbers * _FLOAT
    return known + _TABLES * table + 2 * size.features * size.width * _FLOAT


def _narrow(size: NetworkSize) -> int:
    """Width of the hidden layer as it is built."""
    return max(8, round(size.hidden * 2 / 3 / 8) * 8) if size.gated else size.hidden


def _learnt_bias(size: NetworkSize) -> bool:
    return size.times or size.positions == "steps"
