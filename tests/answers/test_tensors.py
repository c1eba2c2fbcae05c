"""Files of tensors: the very bytes of the format's own library, which is not needed to write them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import load, save

from matinee.answers.tensors import read_tensors, write_tensors

KINDS = "?", "u1", "i1", "u2", "i2", "f2", "u4", "i4", "f4", "u8", "i8", "f8"
NAMED = st.dictionaries(
    st.text(max_size=6),
    st.sampled_from(KINDS).flatmap(
        lambda kind: arrays.arrays(np.dtype(kind), arrays.array_shapes(min_dims=0, min_side=0, max_side=3))
    ),
    max_size=5,
)


@settings(max_examples=60)
@given(NAMED)
def test_what_is_written_is_what_the_library_writes(tmp_path_factory, named):
    path = tmp_path_factory.mktemp("tensors") / "t.safetensors"
    write_tensors(path, named)
    assert path.read_bytes() == save({name: np.asarray(array, order="C") for name, array in named.items()})
    for found in (read_tensors(path), load(path.read_bytes())):
        assert found.keys() == named.keys()
        for name, array in named.items():
            assert found[name].dtype == array.dtype
            np.testing.assert_array_equal(found[name], array)


def test_what_lies_in_another_order_is_written_row_by_row(tmp_path):
    across = np.arange(6, dtype=np.float32).reshape(2, 3).T
    write_tensors(tmp_path / "t", {"across": across, "every other": np.arange(8)[::2]})
    found = read_tensors(tmp_path / "t")
    np.testing.assert_array_equal(found["across"], across)
    np.testing.assert_array_equal(found["every other"], [0, 2, 4, 6])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_an_error_of_the_system():
    with pytest.raises(OSError, match="No space left"):
        write_tensors(Path("/dev/full"), {"a": np.zeros(2**20)})
