"""A log whose regions go on from every item to another one, and some that are too small or unknown."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from matinee.testing.made_logs import log_of

ITEMS = 30


def two_ways(viewers=130, events=10, small=12, unknown=8):
    """From every item east goes on to one other, west to another, every second time; else anywhere."""
    random = np.random.default_rng(0)
    follows = [random.permutation(ITEMS) for _ in range(2)]
    homes = ["east"] * viewers + ["west"] * viewers + ["small"] * small + [None] * unknown
    rows = []
    for viewer, home in enumerate(homes):
        follow = follows[viewer % 2 if home in {"small", None} else int(home == "west")]
        row = [int(random.integers(ITEMS))]
        while len(row) < events:
            next_ = int(follow[row[-1]])
            if next_ in row or random.random() < 0.5:
                next_ = int(random.choice([item for item in range(ITEMS) if item not in row]))
            row.append(next_)
        rows.append(row)
    times = [[1_000_000 * (1 + step) + viewer for step in range(events)] for viewer in range(len(rows))]
    log = log_of(rows, times=times, n_items=ITEMS, fingerprint="2" * 64)
    table = pa.table({"id": log.viewers.arrow, "region": homes, "age": range(len(homes))})
    return replace(log, viewer_table=table)
