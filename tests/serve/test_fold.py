"""Gorse's view against a slow, obvious second implementation."""

from hypothesis import given
from hypothesis import strategies as st

from matinee.serve.fold import Feedback, fold
from matinee.serve.records import Stored

EVENTS = st.lists(
    st.builds(
        lambda user, item, kind, value, time_ms, sets: (user, item, kind, value, time_ms, sets),
        st.sampled_from("uv"),
        st.sampled_from("ij"),
        st.sampled_from(["view", "like"]),
        st.sampled_from([None, 0.0, 1.0, 2.5, -4.0]),
        st.integers(0, 9),
        st.booleans(),
    ),
    max_size=30,
)


def stored(events):
    return [
        Stored(seq, user, item, kind, value, time_ms, None, None, None, None, None, sets)
        for seq, (user, item, kind, value, time_ms, sets) in enumerate(events, start=1)
    ]


@given(EVENTS)
def test_a_row_is_what_came_since_it_was_last_set(events):
    keys = list(dict.fromkeys((kind, user, item) for user, item, kind, *_ in events))
    expected = []
    for key in keys:
        mine = [event for event in events if (event[2], event[0], event[1]) == key]
        last_set = max((n for n, event in enumerate(mine) if event[5]), default=0)
        since = mine[last_set:]
        expected.append(
            Feedback(
                kind=key[0],
                user=key[1],
                item=key[2],
                value=sum(event[3] or 0.0 for event in since),
                time_ms=min(event[4] for event in since),
                updated_ms=max(event[4] for event in since),
            )
        )
    assert fold(stored(events)) == expected


def test_posting_adds_and_putting_overwrites():
    twice = fold(stored([("u", "i", "view", 1.0, 5, False), ("u", "i", "view", 2.0, 9, False)]))
    assert [(row.value, row.time_ms, row.updated_ms) for row in twice] == [(3.0, 5, 9)]
    put = fold(stored([("u", "i", "view", 1.0, 5, False), ("u", "i", "view", 2.0, 9, True)]))
    assert [(row.value, row.time_ms, row.updated_ms) for row in put] == [(2.0, 9, 9)]
