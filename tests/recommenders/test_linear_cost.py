"""What the linear models say that they need, against what a process of their own took."""

import subprocess
import sys

import numpy as np
import pytest

from matinee.recommenders.cooccurrence import distinct_pairs, pair_sums
from matinee.recommenders.linear_cost import Shape, gram_cells, joint_cost, local_cost, near_cost, row_lengths
from matinee.testing.tastes import predictable_log

# Peak memory of a fit beyond what the process held before it, in bytes, after what was said of it.
_FIT = """
import sys
import numpy as np
import pyarrow as pa
from matinee.core.types import Histories
from matinee.data.log import InteractionLog
from matinee.data.vocabulary import Vocabulary
from matinee.recommenders import make_recommender
from matinee.recipes.spent import peak_rss_mb
import scipy.sparse, scipy.linalg

name, features, viewers, items, length = sys.argv[1], *map(int, sys.argv[2:])
random = np.random.default_rng(0)
codes = (items * random.random(viewers * length) ** 2).astype(np.int32)
ids = [f"i{i}" for i in range(items)]
log = InteractionLog(
    viewers=Vocabulary([f"v{v}" for v in range(viewers)]),
    items=Vocabulary(ids),
    histories=Histories(items=codes, offsets=np.arange(viewers + 1, dtype=np.int64) * length),
    item_table=pa.table({"id": ids}),
    order="order",
)
recommender = make_recommender(name, {"features": features} if features >= 0 else {})
before = peak_rss_mb()
said = recommender.needs(log).memory_bytes
recommender.fit(log)
print(said, (peak_rss_mb() - before) * 2**20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from Linux's /proc")
@pytest.mark.parametrize(
    ("name", "features", "viewers", "items", "length"),
    [
        ("transitions", 0, 1000, 1000, 40),
        ("ease", 0, 1000, 3000, 40),
        ("transitions", -1, 600, 2500, 25),
        ("transitions", 20, 700, 600, 30),
        ("ease", 20, 700, 600, 30),
    ],
)
def test_memory_is_never_said_too_small_nor_much_too_large(
    name: str, features: int, viewers: int, items: int, length: int
) -> None:
    words = [name, *map(str, (features, viewers, items, length))]
    done = subprocess.run([sys.executable, "-c", _FIT, *words], capture_output=True, text=True, check=True)
    said, took = map(float, done.stdout.split())
    assert took <= said
    assert said < 2.0 * took + 100 * 2**20  # the fixed reserve, which a small fit hardly touches


def test_row_lengths_are_what_chance_gives() -> None:
    random = np.random.default_rng(3)
    events = np.array([5, 10, 40, 100, 400] * 20)
    pairs = 4000
    shares = events / events.sum()
    newer, older = random.choice(100, pairs, p=shares), random.choice(100, pairs, p=shares)
    met = np.zeros((100, 100), bool)
    met[newer, older] = True
    found = row_lengths(events, pairs)
    assert found.sum() == pytest.approx(met.sum(), rel=0.1)
    assert found[4] == pytest.approx(met[4::5].sum(axis=1).mean(), rel=0.1)


def test_what_costs_more_is_said_to_cost_more() -> None:
    small = Shape(events=np.full(3000, 20), pairs=(1e5,), results=1, diagonal=np.full(3000, 20.0))
    large = Shape(events=np.full(9000, 20), pairs=(3e5,), results=1, diagonal=np.full(9000, 20.0))
    for cost in (lambda shape: joint_cost(shape, 1.0), lambda shape: local_cost(shape, 100)):
        assert cost(large).cpu_s > 2 * cost(small).cpu_s
        assert cost(large).memory_bytes > 2 * cost(small).memory_bytes - 2**27
    # Nine thousand features take 27 times the factor of three thousand; none of them weighs against 1e6.
    assert joint_cost(large, 1e6).cpu_s < joint_cost(large, 1.0).cpu_s / 10


def test_pairs_that_meet_are_counted_from_a_sample() -> None:
    log = predictable_log(400)
    (pairs,) = pair_sums(log.histories, log.n_items, 0.9, 5, [np.ones(len(log.histories.items))])
    assert distinct_pairs(log.histories, 5, every=1) == pairs.nnz
    assert distinct_pairs(log.histories, 5, every=4) == pytest.approx(pairs.nnz, rel=0.3)
    assert distinct_pairs(log.histories.take(np.zeros(0, np.int64)), 5) == 0.0


def test_rows_that_keep_few_cells_take_less() -> None:
    events = np.full(20_000, 50)
    shape = Shape(events=events, pairs=(5e6, 8e6), results=3, diagonal=np.ones(40_000), met=(3e6, 4e6))
    assert gram_cells(shape) == 28e6
    few, many = (near_cost(shape, 100, cells).memory_bytes for cells in (64, 512))
    assert few < many
    assert few < local_cost(shape, 100).memory_bytes
