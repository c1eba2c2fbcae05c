"""A small shop that the tests of this folder ask: awkward ids, titles, rules of every sort."""

import numpy as np
import pyarrow as pa
import pytest

from matinee.answers.model import Model, model_of
from matinee.core.promise import Part
from matinee.core.types import Histories, Ragged
from matinee.data.log import InteractionLog
from matinee.data.vocabulary import Vocabulary

ITEMS = ["a/b", 'c "d"', "e,f", " g h ", "øüñ", "007", "7", "7.0"]
VIEWERS = ["u/1", 'u "2"', "u,3", "ü 4", "nobody", "saw everything"]
LISTS = [[0, 1, 2], [2, 3, 3], [4], [5, 6, 0, 1], [], list(range(8))]


def offsets_of(lists):
    return np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64)


def make_log(**changes):
    flat = np.array([code for row in LISTS for code in row], dtype=np.int32)
    table = pa.table({"id": ITEMS, "title": [f"Film {n}" for n in range(7)] + [None]})
    settings = {
        "viewers": Vocabulary(VIEWERS),
        "items": Vocabulary(ITEMS),
        "histories": Histories(items=flat, offsets=offsets_of(LISTS), times=np.arange(len(flat)) * 1000),
        "item_table": table,
        "order": "time",
        "fingerprint": "f" * 64,
    }
    return InteractionLog(**{**settings, **changes})


def make_model(log=None) -> Model:
    """A linear model whose weights are known: item i speaks for items i + 1 and, half as loud, i + 2."""
    log = log or make_log()
    n = log.n_items
    weights = np.zeros((n, n), dtype=np.float32)
    for i in range(n):
        weights[i, (i + 1) % n] += 1.0
        weights[i, (i + 2) % n] += 0.5
    part = Part(
        kind="linear",
        settings={"decays": [1.0]},
        tensors={"weights": weights},
        sums={"gram": np.eye(n, dtype=np.float32)},
    )
    return model_of("ease", {"ridge": 1.0}, part, log)


@pytest.fixture
def log():
    return make_log()


@pytest.fixture
def model():
    return make_model()


@pytest.fixture
def with_tables():
    """A model whose log has some tables changed: `with_tables(hidden=[...])` adds columns to the items."""

    def build(viewers=None, negatives=None, kinds=None, repeats=False, **columns):
        log = make_log()
        table = log.item_table
        for name, values in columns.items():
            table = table.append_column(name, pa.array(values))
        changes = {"item_table": table, "repeats": repeats}
        if viewers is not None:
            changes["viewer_table"] = pa.table({"id": VIEWERS, **viewers})
        if negatives is not None:
            flat = np.array([code for row in negatives for code in row], dtype=np.int32)
            changes["negatives"] = Ragged(values=flat, offsets=offsets_of(negatives))
        return make_model(make_log(**changes))

    return build
