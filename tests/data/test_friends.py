import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.core.errors import DataError
from matinee.core.types import Ragged
from matinee.data.friends import read_friends
from matinee.data.vocabulary import Vocabulary

DATA = Path(os.environ.get("MATINEE_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
VIEWERS = Vocabulary(["ann", "bob", "cy", "dee"])


def read(folder: Path, text: str, **aliases: str) -> tuple[Ragged, tuple[str, ...]]:
    path = folder / "friends.csv"
    path.write_text(text, encoding="utf-8")
    return read_friends(path, VIEWERS, aliases)


def lists(friends: Ragged) -> list[list[str]]:
    return [VIEWERS.ids(friends.row(viewer)) for viewer in range(len(friends))]


@pytest.mark.parametrize(
    "text",
    [
        "user,friend\nann,bob\ncy,ann\n",
        "userID\tfriendID\nann\tbob\nbob\tann\ncy\tann\nann\tcy\n",
        "ann bob 1\ncy   ann 1\n",
        "ann::bob\ncy::ann\n",
        "ann,bob\nann,bob\ncy,ann\n",
        '{"friend": "bob", "user": "ann"}\n{"friend": "ann", "user": "cy"}\n',
    ],
)
def test_friendship_is_taken_both_ways(tmp_path: Path, text: str) -> None:
    friends, notes = read(tmp_path, text)
    assert lists(friends) == [["bob", "cy"], ["ann"], ["ann"], []]
    assert friends.weights is None
    assert "are 2 pairs of friends" in notes[0]


def test_of_two_weights_of_a_pair_the_greater_counts(tmp_path: Path) -> None:
    friends, _ = read(tmp_path, "user,friend,weight\nann,bob,.5\nbob,ann,2\nann,cy,3\n")
    assert lists(friends) == [["bob", "cy"], ["ann"], ["ann"], []]
    assert friends.weights is not None
    assert friends.weights.tolist() == [2, 3, 2, 3]


def test_what_is_no_friendship_is_counted(tmp_path: Path) -> None:
    friends, notes = read(tmp_path, "user,friend,trust\nann,ann,1\nann,bob,-1\nann,stranger,1\ncy,dee,1\n")
    assert lists(friends) == [[], [], ["dee"], ["cy"]]
    assert notes[1:] == (
        "friends.csv: 1 links name viewers who are not in the log",
        "friends.csv: 2 links are of a viewer to itself, or weigh 0 or less",
    )


def test_merged_viewers_keep_their_friends(tmp_path: Path) -> None:
    friends, notes = read(tmp_path, "user,friend\nold,bob\nold,ann\nold,older\n", old="ann", older="ann")
    assert lists(friends) == [["bob"], ["ann"], [], []]
    assert "2 links are of a viewer to itself" in notes[1]


def test_a_bad_weight_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 3, column 'weight': expected a number .* \(found 'much'\)"):
        read(tmp_path, "user,friend,weight\nann,bob,1\nann,cy,much\n")


def test_one_column_is_not_enough(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two columns"):
        read(tmp_path, "ann\nbob\n")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(-1, 3)), min_size=1, max_size=20))
def test_against_a_slow_and_obvious_reading(
    tmp_path_factory: pytest.TempPathFactory, links: list[tuple[int, int, int]]
) -> None:
    ids = VIEWERS.arrow.to_pylist()
    text = "user,friend,weight\n" + "".join(f"{ids[a]},{ids[b]},{weight}\n" for a, b, weight in links)
    friends, _ = read(tmp_path_factory.mktemp("friends"), text)
    weight_of: dict[tuple[int, int], int] = {}
    for a, b, weight in links:
        if a != b and weight > 0:
            for pair in ((a, b), (b, a)):
                weight_of[pair] = max(weight, weight_of.get(pair, 0))
    pairs = sorted(weight_of)
    rows = np.repeat(np.arange(4), np.diff(friends.offsets)).tolist()
    assert list(zip(rows, friends.values.tolist(), strict=True)) == pairs
    if friends.weights is not None:
        assert friends.weights.tolist() == [weight_of[pair] for pair in pairs]
    else:
        assert len(set(weight_of.values())) <= 1


def test_lastfm_has_12717_pairs() -> None:
    path = DATA / "lastfm" / "user_friends.dat"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    friends, notes = read_friends(path, Vocabulary(map(str, range(2101))), {})
    assert len(friends.values) == 25_434
    assert notes == ("user_friends.dat: 25,434 links are 12,717 pairs of friends",)


def test_filmtrust_links_are_directed_and_become_pairs() -> None:
    path = DATA / "filmtrust" / "trust.txt"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    rows = {tuple(line.split()[:2]) for line in path.read_text().splitlines() if line.strip()}
    pairs = {tuple(sorted(row)) for row in rows if row[0] != row[1]}
    friends, _ = read_friends(path, Vocabulary(sorted({id_ for row in rows for id_ in row})), {})
    assert len(friends.values) == 2 * len(pairs)
