from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.core.errors import DataError
from matinee.data.aliases import merge_viewers, read_aliases, rename
from matinee.data.events import Events
from matinee.data.vocabulary import Vocabulary


def written(folder: Path, text: str) -> Path:
    path = folder / "aliases.csv"
    path.write_text(text, encoding="utf-8")
    return path


def events_of(rows: list[tuple[str, str]], **columns: object) -> Events:
    viewers = Vocabulary(dict.fromkeys(viewer for viewer, _ in rows))
    items = Vocabulary(dict.fromkeys(item for _, item in rows))
    return Events(
        viewers=viewers,
        items=items,
        viewer=viewers.codes([viewer for viewer, _ in rows]),
        item=items.codes([item for _, item in rows]),
        **columns,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("header", ["", "old,new\n", "old_id,new_id\n", "OLD_USER_ID,NEW_USER_ID\n"])
def test_chains_are_followed_to_their_end(tmp_path: Path, header: str) -> None:
    path = written(tmp_path, header + "a,b\nb,c\nx,c\nc,c\n")
    assert read_aliases(path) == {"a": "c", "b": "c", "x": "c"}


def test_columns_are_found_by_name_in_any_order(tmp_path: Path) -> None:
    assert read_aliases(written(tmp_path, "new,old\nb,a\n")) == {"a": "b"}


def test_ids_of_digits_need_no_header(tmp_path: Path) -> None:
    assert read_aliases(written(tmp_path, "1,2\n007,7\n")) == {"1": "2", "007": "7"}


def test_a_circle_is_refused_with_its_ids(tmp_path: Path) -> None:
    path = written(tmp_path, "z,a\na,b\nb,c\nc,a\n")
    with pytest.raises(DataError, match="circle: a -> b -> c -> a"):
        read_aliases(path)


def test_two_new_ids_for_one_old_are_refused_with_row_and_ids(tmp_path: Path) -> None:
    path = written(tmp_path, "old,new\na,b\na,b\na,c\n")
    with pytest.raises(DataError, match=r"row 4, column 'new': viewer 'a' already became 'b' \(found 'c'\)"):
        read_aliases(path)


@pytest.mark.parametrize(
    ("text", "sentence"), [("a\nb\n", "two columns"), ("a,\n", "two ids"), ("", "empty")]
)
def test_files_that_cannot_be_used(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read_aliases(written(tmp_path, text))


@given(st.permutations(range(1, 12)), st.integers(0, 10))
def test_any_forest_ends_at_its_roots_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], seed: int
) -> None:
    parents = {i: int(np.random.default_rng([seed, i]).integers(0, i)) for i in order}
    path = written(tmp_path_factory.mktemp("forest"), "".join(f"v{i},v{parents[i]}\n" for i in order))

    def root(i: int) -> int:
        return root(parents[i]) if i in parents else i

    assert read_aliases(path) == {f"v{i}": f"v{root(i)}" for i in parents}


def test_renaming_leaves_other_ids_alone() -> None:
    ids = pa.array(["a", "é", "b", "a"], pa.large_string())
    assert rename(ids, {"a": "z"}).to_pylist() == ["z", "é", "b", "z"]
    assert rename(ids, {}) is ids


def test_merged_viewers_are_one_even_if_the_new_id_has_no_event_of_its_own() -> None:
    events = events_of([("a", "1"), ("c", "2"), ("b", "3"), ("a", "4")])
    merged, note = merge_viewers(events, {"a": "new", "b": "new", "nobody": "c"})
    assert merged.viewers.ids(merged.viewer) == ["new", "c", "new", "new"]
    assert merged.items.ids(merged.item) == ["1", "2", "3", "4"]
    assert note == (
        "2 viewers of the log go by another id since they merged; 1 old id of the aliases not in the log"
    )


def test_without_times_the_older_id_comes_first() -> None:
    events = events_of(
        [("new", "n0"), ("old", "o0"), ("new", "n1"), ("old", "o1"), ("other", "x0")],
        position=np.array([0, 0, 1, 1, 5], dtype=np.int64),
    )
    merged, _ = merge_viewers(events, {"old": "new"})
    assert merged.position is not None
    order = np.lexsort((merged.position, merged.viewer))
    assert merged.items.ids(merged.item[order]) == ["o0", "o1", "n0", "n1", "x0"]
    assert merged.position.tolist() == [2, 0, 3, 1, 5]


def test_with_times_positions_stay() -> None:
    position = np.array([0, 1], dtype=np.int64)
    events = events_of([("new", "1"), ("old", "2")], position=position, time=np.array([5, 6], dtype=np.int64))
    merged, _ = merge_viewers(events, {"old": "new"})
    assert merged.position is not None
    assert merged.position.tolist() == [0, 1]
