"""implicit's alternating least squares: `python -m peers.implicit_als FOLDER`.

It knows no order. Those who ask are folded in with the history that they have by then. Settings: arguments of
`AlternatingLeastSquares`; an epoch is one fit of all its iterations.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

from peers.exchange import Record, Rows, open_job, threads


def matrix_of(rows: Rows, n_items: int) -> csr_matrix:
    """1 for each event: shape (rows, items)."""
    ones = np.ones(len(rows.items), dtype=np.float32)
    return csr_matrix((ones, (rows.owners(), rows.items)), shape=(len(rows), n_items))


def main(folder: Path) -> None:
    job = open_job(folder)
    record = Record(job)
    model = AlternatingLeastSquares(num_threads=threads(), random_state=job.seed, **job.settings)
    model.fit(matrix_of(job.train, job.n_items), show_progress=False)
    with record.uncounted():
        users = {
            name: np.asarray(model.recalculate_user(np.arange(len(rows)), matrix_of(rows, job.n_items)))
            for name, rows in job.asked.items()
        }
    record.keep(users, np.asarray(model.item_factors), np.arange(job.n_items), len(job.train.items))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
