import asyncio
import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serve.asked_world import serve

from matinee.serve.asking import Ask
from matinee.serve.recommendation_id import Told, is_for, make, read
from matinee.serve.records import LONGEST_ID
from matinee.serve.store import secret_of

SECRET = b"a key of the store"
TOLD = Told(placement="home", bundle="monday", source="blend", arm="test/b", time_ms=1_700_000_000_123)


def test_an_id_tells_what_it_was_made_of():
    found = read(SECRET, make(SECRET, TOLD))
    assert found is not None
    assert found.nonce
    assert (found.placement, found.bundle, found.source, found.arm) == ("home", "monday", "blend", "test/b")
    assert found.time_ms == TOLD.time_ms


def test_two_answers_of_one_moment_have_two_ids_and_a_nonce_makes_the_same_one():
    assert make(SECRET, TOLD) != make(SECRET, TOLD)
    again = read(SECRET, make(SECRET, TOLD))
    assert again is not None
    assert read(SECRET, make(SECRET, again)) == again


def test_another_key_reads_nothing():
    assert read(b"another key", make(SECRET, TOLD)) is None


def test_a_key_longer_than_a_hash_takes_works():
    key = bytes(200)
    assert read(key, make(key, TOLD)) is not None


def test_no_altered_id_is_read():
    id_ = make(SECRET, TOLD)
    letters = "AZaz09-_"
    changed = {
        id_[:place] + letter + id_[place + 1 :]
        for place in range(len(id_))
        for letter in letters
        if letter != id_[place]
    }
    assert all(read(SECRET, one) is None for one in changed)
    assert all(read(SECRET, id_[:end]) is None for end in range(len(id_)))
    assert read(SECRET, id_ + "A") is None


@pytest.mark.parametrize("foreign", ["", "x", "RID-1234", "é", "a b", "AAAA", "=" * 8, "A" * 1000])
def test_a_foreign_id_reads_as_nothing(foreign):
    assert read(SECRET, foreign) is None


@given(st.text(max_size=300), st.text(max_size=80), st.integers(0, 2**47))
def test_any_names_make_an_id_that_is_short_and_url_safe(placement, bundle, time_ms):
    id_ = make(SECRET, Told(placement=placement, bundle=bundle, source="s", arm="a", time_ms=time_ms))
    assert len(id_) <= LONGEST_ID
    assert base64.urlsafe_b64decode(id_ + "=" * (-len(id_) % 4))
    found = read(SECRET, id_)
    assert found is not None
    assert found.time_ms == time_ms
    if len(placement.encode("utf-8", "replace")) <= 38 and placement.isprintable():
        assert found.placement == placement.encode("utf-8", "replace").decode()


def test_an_id_says_whom_it_is_for_to_whoever_has_the_key_and_knows_the_viewer():
    found = [read(SECRET, make(SECRET, TOLD, user)) for user in ("ann", "ann", "bob")]
    assert all(is_for(SECRET, one, user) for one, user in zip(found, ("ann", "ann", "bob"), strict=True))
    assert not is_for(SECRET, found[0], "bob")
    assert not is_for(b"another key", found[0], "ann")
    # Two ids do not tell that they are one viewer's.
    assert len({one.viewer for one in found}) == 3
    assert read(SECRET, make(SECRET, found[0])) == found[0]
    assert found[0].source == TOLD.source


def test_an_id_for_nobody_in_particular_is_for_anybody_as_those_of_before_were():
    told = read(SECRET, make(SECRET, TOLD))
    assert told.viewer == ""
    assert is_for(SECRET, told, "ann")
    assert is_for(SECRET, told, "bob")
    # Its bytes begin as those of ids that were given before any said for whom.
    assert base64.urlsafe_b64decode(make(SECRET, TOLD) + "==")[:1] == b"\x01"


def test_the_longest_id_for_a_viewer_may_be_stored():
    told = Told(placement="p" * 99, bundle="b" * 99, source="s" * 99, arm="a" * 99, time_ms=1)
    assert len(make(SECRET, told, "u" * 256)) <= LONGEST_ID


def test_an_answer_bears_the_id_of_whoever_asked():
    async def story():
        service = await serve()
        secret = secret_of({"secret": await service.store.note("secret")})
        for ask in (service.answers.recommend, service.answers.popular):
            ids = [(await ask(one)).recommendation_id for one in (Ask(user="v5"), Ask())]
            theirs, anybodys = (read(secret, one) for one in ids)
            assert [is_for(secret, one, "v6") for one in (theirs, anybodys)] == [False, True]
            assert is_for(secret, theirs, "v5")

    asyncio.run(story())
