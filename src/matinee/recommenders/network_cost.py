"""What training a network takes, predicted from sizes alone; nothing here loads torch."""

from __future__ import annotations

import numpy as np

from matinee.core.promise import Log, Needs
from matinee.recommenders.sequential import SequentialConfig, drawn_negatives

# Float operations a second of one core in single precision, all losses included; measured on ML-1M.
_FLOPS = 4.5e10


def network_needs(config: SequentialConfig, log: Log) -> Needs:
    """Memory and time of a fit, were every pass made."""
    lengths = np.minimum(log.histories.lengths, config.longest).astype(np.float64)
    tokens = float(lengths.sum())
    looked = drawn_negatives(config, log.n_items) or log.n_items
    width = config.width
    attended = float((lengths**2).sum()) / max(tokens, 1.0)
    layer = (4 + 2 * config.hidden) * width**2 + 2 * attended * width
    flops = 6.0 * tokens * (config.layers * layer + looked * width)
    return Needs(memory_bytes=2**29, cpu_s=2.0 + config.passes * flops / _FLOPS)
