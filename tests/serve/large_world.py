"""What tests of large catalogues share: a blend of three parts on some thousand items, with an index."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix, vstack

from matinee.answers.bundle import Content, write_bundle
from matinee.answers.compact import sparse_tensors
from matinee.answers.context import context_of
from matinee.answers.model import Model
from matinee.core.promise import Part
from matinee.core.types import Histories
from matinee.data.log import InteractionLog
from matinee.data.vocabulary import Vocabulary
from matinee.recommenders import make_recommender

ITEMS, WIDTH = 3_000, 8


def in_clusters(items, width, seed=0, clusters=60):
    """Vectors as fits leave them: in clusters, a few of them long; and what is asked for."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(clusters, width)) * np.exp(0.5 * random.normal(size=(clusters, 1)))
    vectors = centres[random.integers(0, clusters, items)] + 0.3 * random.normal(size=(items, width))
    asked = centres[random.integers(0, clusters, 300)] + 0.3 * random.normal(size=(300, width))
    return vectors.astype(np.float32), asked.astype(np.float32)


def a_network(items):
    """The part of a network without layers: the last event is what is asked for."""
    width = items.shape[1]
    tensors = {
        "items": items,
        "distances.slopes": np.log([0.6, 0.95]).astype(np.float32),
        "last_norm.weight": np.ones(width, np.float32),
        "last_norm.bias": np.zeros(width, np.float32),
    }
    told = {"layers": 0, "heads": 2, "gated": False, "positions": "distance", "times": False}
    return Part(
        kind="network", settings={**told, "longest": 6, "ordered": True, "temperature": 0.1}, tensors=tensors
    )


def a_log(n_items=ITEMS, viewers=400, events=12, seed=0):
    """Viewers who go from an item to one of its three followers."""
    random = np.random.default_rng(seed)
    followers = random.integers(0, n_items, (n_items, 3))
    rows = np.empty((viewers, events), np.int32)
    rows[:, 0] = random.integers(0, n_items, viewers)
    for place in range(1, events):
        rows[:, place] = followers[rows[:, place - 1], random.integers(0, 3, viewers)]
    ids = [f"i{code}" for code in range(n_items)]
    genres = [["Crime"] if code % 50 == 0 else ["Drama"] for code in range(n_items)]
    histories = Histories(
        items=rows.ravel(),
        offsets=np.arange(viewers + 1, dtype=np.int64) * events,
        times=np.arange(rows.size, dtype=np.int64) * 1000,
    )
    return InteractionLog(
        viewers=Vocabulary([f"v{code}" for code in range(viewers)]),
        items=Vocabulary(ids),
        histories=histories,
        item_table=pa.table({"id": ids, "title": [f"Film {one}" for one in ids], "genres": genres}),
        order="time",
        fingerprint="f" * 64,
    )


def what_follows(log):
    """A linear part: how often an item came after another, for two rates."""
    items, n = log.histories.items.reshape(len(log.histories), -1), log.n_items
    pairs = np.stack([items[:, :-1].ravel(), items[:, 1:].ravel()])
    weights = csr_matrix((np.full(pairs.shape[1], 0.1, np.float32), pairs), shape=(n, n))
    return Part(
        kind="linear",
        settings={"decays": [0.1, 0.9]},
        tensors=sparse_tensors(vstack([weights, 0.2 * weights], format="csr")),
    )


@cache
def a_blend():
    """A blend of a network, what follows what, and factors."""
    log = a_log()
    vectors, _ = in_clusters(log.n_items, WIDTH)
    factors = make_recommender("ials", {"factors": 4, "epochs": 2, "decay": 1.0}).fit(log, seed=0)
    parts = {
        "sequential": a_network(vectors),
        "transitions": what_follows(log),
        "ials": factors.parts["ials"],
    }
    settings = {"parts": list(parts), "floors": [2e-4, 1e-2], "weights": [[1.0], [0.5]], "lengths": []}
    joined = Part(kind="product", settings=settings, tensors={})
    return Model(name="blend", config={}, parts={"blend": joined, **parts}, log=log, context=context_of(log))


def content_of(model):
    """A model as it is written."""
    return Content(
        name=model.name,
        config={},
        parts=model.parts,
        log=model.log,
        popularity=model.context.popularity,
        facts=model.facts,
    )


@cache
def blend_folder():
    """A folder with the blend with its index, and the same without one, written once."""
    kept = TemporaryDirectory()
    write_bundle(Path(kept.name) / "large", content_of(a_blend()), large=1_000)
    write_bundle(Path(kept.name) / "small", content_of(a_blend()))
    return kept


def bundle(name):
    """The folder of one of them."""
    return Path(blend_folder().name) / name
