"""What training a network takes, predicted from sizes alone; nothing here loads torch."""

from __future__ import annotations

import numpy as np

from matinee.core.promise import Log, Needs
from matinee.data.content import MOST_FEATURES, told_bytes
from matinee.recommenders.cooccurrence import pairs_within
from matinee.recommenders.network_content import told_of
from matinee.recommenders.network_settings import SequentialConfig, drawn_negatives, learnt_by_rows, resolved
from matinee.train.memory import NetworkSize, predicted_bytes

# Float operations a second of one core in single precision, all losses included; measured on ML-1M.
_FLOPS = 4.5e10
# Torch's libraries as they lie in memory, beside what it allocates.
_LIBRARIES = 48 * 2**20
# Letters of a word with what parts it from the next.
_WORD_BYTES = 5


def network_needs(config: SequentialConfig, log: Log) -> Needs:
    """Memory and time of a fit, were every pass made."""
    config = resolved(config, log)
    lengths = np.minimum(log.histories.lengths, config.longest).astype(np.float64)
    tokens = float(lengths.sum())
    looked = drawn_negatives(config, log.n_items) or log.n_items
    width = config.width
    attended = float((lengths**2).sum()) / max(tokens, 1.0)
    layer = (4 + 2 * config.hidden) * width**2 + 2 * attended * width
    flops = 6.0 * tokens * (config.layers * layer + looked * width)
    # Beside training: the items and windows of all events, and the start vectors' pairs.
    beside = _LIBRARIES + 24 * len(log.histories.items) + 12 * _start_cells(log)
    memory = predicted_bytes(network_size(config, log)) + beside
    return Needs(memory_bytes=int(memory), cpu_s=2.0 + config.passes * flops / _FLOPS)


def network_size(config: SequentialConfig, log: Log, *, half: bool = False) -> NetworkSize:
    """What decides the memory of training.

    Args:
        config: with what the log decides filled in.
        log: the log.
        half: whether products are computed in bfloat16.
    """
    features, entries, numbers = _content(log) if config.content else (0, 0, 0)
    return NetworkSize(
        n_items=log.n_items,
        width=config.width,
        layers=config.layers,
        heads=len(config.decays),
        hidden=config.hidden * config.width,
        gated=config.gated,
        positions=config.positions,
        times=config.times,
        longest=int(min(config.longest, log.histories.lengths.max(initial=1))),
        batch_events=config.batch_events or 1,
        drawn=drawn_negatives(config, log.n_items),
        half=half,
        average=config.average > 0.0,
        features=features,
        entries=entries,
        numbers=numbers,
        by_rows=learnt_by_rows(config, log.n_items),
    )


def _content(log: Log) -> tuple[int, int, int]:
    """Features, features of all items together, and numbers of a vector: at most, without reading a word."""
    table, vectors = told_of(log)
    if table is None:
        return 0, 0, 0
    entries = told_bytes(table) // _WORD_BYTES
    return min(MOST_FEATURES, entries), entries, 0 if vectors is None else vectors.shape[1]


def _start_cells(log: Log) -> float:
    """Pairs of items that stand near each other, at most; in a set, all stand near each other."""
    pairs = 16.0 * len(log.histories.items) if log.ordered else pairs_within(log.histories.lengths, 0)
    return min(float(log.n_items) ** 2, pairs)
