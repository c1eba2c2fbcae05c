import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.core.types import Histories, histories_of
from matinee.data import counts as module
from matinee.data.counts import count, viewer_pieces
from matinee.data.log import InteractionLog
from matinee.data.vocabulary import Vocabulary


def log_of(histories: Histories, n_items: int, kinds: tuple[str, ...] = ()) -> InteractionLog:
    items = Vocabulary(str(i) for i in range(n_items))
    return InteractionLog(
        viewers=Vocabulary(f"v{i}" for i in range(len(histories))),
        items=items,
        histories=histories,
        item_table=pa.table({"id": items.arrow}),
        kinds=kinds,
    )


def test_a_log_in_figures() -> None:
    lists = [[0, 1, 0], [], [2], [0, 3, 4, 0, 0]]
    histories = Histories(
        items=histories_of(lists).items,
        offsets=histories_of(lists).offsets,
        kinds=np.array([0, 1, 0, 0, 2, 0, 0, 0, 0], dtype=np.int8),
        values=np.array([1, np.nan, 5, 2, 2, 2, 2, 2, 0.5], dtype=np.float32),
        targets=np.array([1, 0, 1, 1, 0, 1, 1, 1, 1], dtype=bool),
    )
    found = count(log_of(histories, 6, ("view", "cart", "buy", "never")))
    assert (found.viewers, found.items, found.events, found.watched, found.once) == (4, 6, 9, 5, 4)
    assert (found.median_events, found.most_events, found.few) == (3.0, 5, 1)
    assert found.kinds == {"view": 7, "cart": 1, "buy": 1}
    assert found.top_share == pytest.approx(5 / 9)
    assert (found.repeats, found.targets) == (3, 7)
    assert found.values == (0.5, 5.0)


def test_a_log_of_nothing() -> None:
    found = count(log_of(histories_of([]), 0))
    assert (found.events, found.median_events, found.most_events, found.repeats) == (0, 0.0, 0, 0)
    assert found.values is None


@given(
    lists=st.lists(st.lists(st.integers(0, 4), max_size=12), max_size=8),
    piece=st.integers(1, 20),
)
def test_piece_by_piece_is_the_same_as_at_once(lists: list[list[int]], piece: int) -> None:
    histories = histories_of(lists)
    repeats = sum(len(row) - len(set(row)) for row in lists)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE_EVENTS", piece)
        pieces = list(viewer_pieces(histories))
        found = count(log_of(histories, 5))
    assert [viewer for start, end in pieces for viewer in range(start, end)] == list(range(len(lists)))
    assert all(
        histories.offsets[end] - histories.offsets[start] <= piece or end - start == 1
        for start, end in pieces
    )
    assert found.repeats == repeats
    assert found.watched == len({item for row in lists for item in row})
