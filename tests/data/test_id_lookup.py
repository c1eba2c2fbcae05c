"""Few ids and very many are looked up alike."""

import copy

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.data import id_lookup
from matinee.data.id_lookup import FewIds, ManyIds, lookup_of
from matinee.data.vocabulary import Vocabulary

WAYS = (FewIds, ManyIds)


def strings(ids):
    return pa.array(ids, pa.large_string())


@given(st.lists(st.text(max_size=5), min_size=1), st.lists(st.text(max_size=5)))
@settings(deadline=None)
def test_both_ways_say_where_each_id_stands(ids, others):
    once = list(dict.fromkeys(ids))
    code_of = {id_: code for code, id_ in enumerate(once)}
    asked = [*once, *others]
    for way in WAYS:
        found = way(strings(once))
        assert found.distinct
        assert found.codes(asked) == [code_of.get(one, -1) for one in asked]
        assert [found.code(one) for one in asked] == found.codes(asked)
        assert way(strings(ids)).distinct is (len(once) == len(ids))


@pytest.mark.parametrize("way", WAYS)
def test_ids_are_texts_kept_byte_for_byte(way):
    found = way(strings(["7", "007", "7.0", "", "é", "\x00", "a" * 1000]))
    assert found.codes(["007", "7", "", "é", "e\u0301", "\x00", "a" * 999, "\ud800"]) == [
        1,
        0,
        3,
        4,
        -1,
        5,
        -1,
        -1,
    ]
    assert found.codes([]) == []


def test_two_ids_of_one_hash_are_two_ids(monkeypatch):
    monkeypatch.setattr(id_lookup, "hash", len, raising=False)
    assert ManyIds(strings(["a", "b", "cc"])).distinct
    assert not ManyIds(strings(["a", "cc", "a"])).distinct


def test_a_vocabulary_takes_the_way_that_suits_it(monkeypatch):
    assert isinstance(lookup_of(strings(["a"])), FewIds)
    monkeypatch.setattr(id_lookup, "MANY", 2)
    many = Vocabulary(["a", "b", "c"])
    assert isinstance(many.lookup, ManyIds)
    assert "b" in many
    assert "d" not in many
    assert many.codes(["c", "d", "a"]).tolist() == [2, -1, 0]
    assert many.codes(["c", "d"]).dtype == np.int32


def test_hashes_do_not_travel_to_another_process(monkeypatch):
    monkeypatch.setattr(id_lookup, "MANY", 2)
    there = Vocabulary(["a", "b", "c"])
    assert there.code("c") == 2
    # A copy is made of what is written down for another process.
    other = copy.copy(there)
    assert "lookup" not in vars(other)
    assert other.code("c") == 2
