"""Ids that are numbers in disguise come back byte for byte, numbered by first row, as any others do."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.data.gather import Coder
from matinee.data.numbering import Numbering

ODD = [
    "0", "00", "7", "007", "u7", "u07", "u007", "u10", "u", "7u", "-7", "+7", " 7", "7 ", "0x1f", "1e3",
    "7.0", "u-7", "9999999999999999", "99999999999999999", "123456789", "12345678", "u٧", "٧", "é7", "é07",
    "²", "18446744073709551616", "viewer-0001234", "viewer-0001235", "viewer-123456789", "a7b7", "a7b07",
    "\x007", "/", ":",
]  # fmt: skip
NUMBERED = st.tuples(
    st.sampled_from(["", "u", "viewer-", "a prefix of many letters "]), st.integers(0, 3000)
).map(lambda parts: f"{parts[0]}{parts[1]}")
PADDED = st.integers(0, 3000).map(lambda number: f"film-{number:09d}")


def coded(batches):
    coder = Coder()
    for batch in batches:
        coder.add(batch, in_order=False)
    vocabulary, codes = coder.finish()
    return vocabulary.arrow.to_pylist(), codes


def assert_coded(batches):
    rows = [str(one) for batch in batches for one in batch.to_pylist()]
    ids, codes = coded(batches)
    assert ids == list(dict.fromkeys(rows))
    assert [ids[code] for code in codes] == rows


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(st.one_of(NUMBERED, PADDED, st.sampled_from(ODD), st.text(min_size=1)), min_size=1)))
def test_any_mixture_comes_back(batches):
    assert_coded([pa.array(batch, pa.string()) for batch in batches])


@settings(max_examples=100, deadline=None)
@given(
    prefix=st.sampled_from(["", "u", "viewer-", "é", "sixteen letters-", "٧"]),
    width=st.integers(0, 12),
    batches=st.lists(st.lists(st.integers(0, 5000), min_size=1), min_size=1),
    odd=st.sampled_from([None, *ODD]),
)
def test_numbers_come_back_whatever_comes_between(prefix, width, batches, odd):
    arrays = [pa.array([f"{prefix}{one:0{width}d}" for one in batch]) for batch in batches]
    if odd is not None:
        arrays.insert(len(arrays) // 2, pa.array([odd, *arrays[0].to_pylist()]))
    assert_coded(arrays)


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.int8()])
def test_whole_numbers_and_strings_of_them_are_the_same_ids(kind):
    assert_coded([pa.array([7, 0, 12], kind), pa.array(["12", "5", "7"]), pa.array(["07", "7"])])


def test_negative_and_very_large_whole_numbers():
    assert_coded([pa.array([7, 5]), pa.array([-7, 7]), pa.array([2**64 - 1, 5], pa.uint64())])


def test_slices_of_longer_arrays():
    whole = pa.array([f"u{one % 37}" for one in range(400)])
    assert_coded([whole.slice(3, 50), whole.slice(120, 1), whole.slice(200)])


def test_dictionaries_between_numbers():
    plain = pa.array(["u3", "u1", "u2"])
    assert_coded([plain, pa.array(["u9", "u1", "u9"]).dictionary_encode(), pa.array(["u4", "u9", "u3"])])


def test_what_was_forgotten_leaves_no_id():
    coder = Coder()
    coder.add(pa.array(["u5", "u1"]), in_order=False)
    mark = coder.close_segment()
    coder.add(pa.array(["u8", "u1"]), in_order=False)
    coder.forget(mark)
    coder.add(pa.array(["u2", "u5"]), in_order=False)
    vocabulary, codes = coder.finish()
    assert vocabulary.arrow.to_pylist() == ["u5", "u1", "u2"]
    assert codes.tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize("width", [0, 9])
def test_many_numbers_widen_the_table_on_both_sides(width):
    rng = np.random.default_rng(0)
    middle = 10**8
    batches = [rng.integers(middle - reach, middle + reach, 2_000) for reach in (10, 1_000, 30_000, 50_000)]
    batches = [pa.array([f"u{one:0{width}d}" for one in batch]) for batch in batches]
    numbering = Numbering("u100000000")
    assert all(numbering.codes(batch) is not None for batch in batches)
    assert_coded(batches)


def test_numbers_too_far_apart_are_left_to_hashing():
    numbering = Numbering("u1")
    assert numbering.codes(pa.array(["u1", "u900000000"])) is None
    assert numbering.codes(pa.array(["u1", "u900"])).tolist() == [0, 1]
    assert_coded([pa.array(["u1", "u900000000"]), pa.array(["u900", "u1"])])


@pytest.mark.parametrize(
    ("first", "later", "follows"),
    [
        ("007", "010", True), ("007", "7", False), ("007", "0007", False), ("7", "10", True),
        ("7", "07", False),
        ("10", "7", True), ("u7", "v7", False), ("u7", "u", False), ("u7", "u٧", False), ("7", "", False),
    ],
)  # fmt: skip
def test_what_follows_the_rule(first, later, follows):
    numbering = Numbering(first)
    assert numbering.codes(pa.array([first])).tolist() == [0]
    assert (numbering.codes(pa.array([later])) is not None) == follows
    assert numbering.ids().to_pylist() == ([first, later] if follows else [first])
