from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.core.errors import InputError, SettingsError
from matinee.data import meaning
from matinee.data.events import Events
from matinee.data.options import LogOptions
from matinee.data.vocabulary import Vocabulary

MINUTE = 60_000

# A shop's morning: viewer, item, minute, kind, value.
SHOP: list[tuple[str, str, float, str, float | None]] = [
    ("ann", "lamp", 0, "view", None),
    ("ann", "lamp", 1, "cart", None),
    ("ann", "rug", 2, "view", None),
    ("ann", "lamp", 3, "purchase", 40.0),
    ("bob", "lamp", 3, "view", None),
    ("ann", "lamp", 100, "view", None),
    ("ann", "lamp", 101, "return", None),
    ("bob", "rug", 200, "rating", 2.0),
    ("bob", "lamp", 201, "rating", 5.0),
    ("bob", "vase", 202, "rating", None),
]


def shop(rows: Sequence[tuple[str, str, float, str, float | None]] = SHOP, *, times: bool = True) -> Events:
    viewers = Vocabulary(dict.fromkeys(row[0] for row in rows))
    items = Vocabulary(dict.fromkeys(row[1] for row in rows))
    kinds = tuple(dict.fromkeys(row[3] for row in rows))
    return Events(
        viewers=viewers,
        items=items,
        viewer=viewers.codes([row[0] for row in rows]),
        item=items.codes([row[1] for row in rows]),
        time=np.array([row[2] * MINUTE for row in rows], dtype=np.int64) if times else None,
        kind=np.array([kinds.index(row[3]) for row in rows], dtype=np.int8),
        kinds=kinds,
        value=np.array([np.nan if row[4] is None else row[4] for row in rows], dtype=np.float32),
    )


def plain() -> Events:
    rows = SHOP[:3]
    events = shop(rows)
    events.kind, events.kinds, events.value = None, (), None
    return events


def told(events: Events) -> list[str]:
    """Each event in words: viewer, item, kind."""
    assert events.kind is not None
    kinds = [events.kinds[kind] for kind in events.kind]
    rows = zip(events.viewers.ids(events.viewer), events.items.ids(events.item), kinds, strict=True)
    return [" ".join(row) for row in rows]


def test_without_options_nothing_changes() -> None:
    events = shop()
    same, notes = meaning.apply(events, LogOptions())
    assert notes == ()
    for field in fields(Events):
        assert getattr(same, field.name) is getattr(events, field.name)


def test_weights_go_by_kind_and_kinds_left_out_count_one() -> None:
    events, _ = meaning.apply(shop(), LogOptions(weight={"view": 0.1, "cart": 0.5}))
    assert events.weight is not None
    assert events.weight.dtype == np.float32
    assert events.weight.round(2).tolist() == pytest.approx([0.1, 0.5, 0.1, 1, 0.1, 0.1, 1, 1, 1, 1])


def test_a_target_marks_the_kind_to_be_predicted() -> None:
    events, _ = meaning.apply(shop(), LogOptions(target="purchase"))
    assert events.target is not None
    assert np.flatnonzero(events.target).tolist() == [3]
    assert len(events) == len(SHOP)


def test_negatives_are_marked_and_stay() -> None:
    events, _ = meaning.apply(shop(), LogOptions(negative=("return",)))
    assert events.negative is not None
    assert np.flatnonzero(events.negative).tolist() == [6]


def test_a_condition_on_the_value_judges_the_kinds_that_bring_one() -> None:
    # Purchases bring prices, ratings stars; views, carts and returns never bring a value: left alone.
    events, notes = meaning.apply(shop(), LogOptions(positive="value>=41"))
    assert told(events) == [
        " ".join((row[0], row[1], row[3])) for row in SHOP if row[3] in ("view", "cart", "return")
    ]
    assert notes == ("4 events are not value>=41 and left out",)


def test_what_says_no_is_not_judged_by_its_value() -> None:
    events, _ = meaning.apply(shop(), LogOptions(positive="value>=41", negative=("rating",)))
    assert sum(line.endswith("rating") for line in told(events)) == 3


def test_a_condition_on_a_kind_judges_that_kind_alone() -> None:
    rows = [("a", "x", 0.0, "view", 1.0), ("a", "y", 1.0, "stars", 1.0), ("a", "z", 2.0, "stars", 5.0)]
    events, notes = meaning.apply(shop(rows), LogOptions(positive="stars>3"))
    assert told(events) == ["a x view", "a z stars"]
    assert notes == ("1 event is not stars>3 and left out",)


def test_a_condition_may_name_the_value_column() -> None:
    rows = [("a", "x", 0.0, "k", 1.0), ("a", "y", 1.0, "k", 5.0)]
    options = LogOptions(positive="enjoyment>3", columns={"value": "enjoyment"})
    assert told(meaning.apply(shop(rows), options)[0]) == ["a y k"]
    with pytest.raises(SettingsError, match="enjoyment"):
        meaning.apply(shop(rows), LogOptions(positive="enjoyment>3"))


def test_predicting_the_value_leaves_out_what_has_none() -> None:
    rows = [("a", "x", 0.0, "k", 1.0), ("a", "y", 1.0, "k", None)]
    events, notes = meaning.apply(shop(rows), LogOptions(target="rating"))
    assert told(events) == ["a x k"]
    assert events.target is None
    assert notes == ("1 event is without a rating and left out",)


def test_where_there_is_a_kind_called_rating_prices_are_no_ratings() -> None:
    events, notes = meaning.apply(shop(), LogOptions(target="rating"))
    assert told(events) == ["bob rug rating", "bob lamp rating"]
    assert notes == ("8 events are without a rating and left out",)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (LogOptions(target="purchases"), "kind of event in --target 'purchases': did you mean 'purchase'"),
        (LogOptions(weight={"viw": 1.0}), "kind of event in --weight 'viw': did you mean 'view'"),
        (LogOptions(negative=("retrun",)), "kind of event in --negative 'retrun': did you mean 'return'"),
        (LogOptions(target="return", negative=("return",)), "both --target and --negative"),
        (
            LogOptions(weight=dict.fromkeys(("view", "cart", "purchase", "return", "rating"), 0.0)),
            "nothing would be",
        ),
        (LogOptions(negative=("view", "cart", "purchase", "return", "rating")), "names every kind"),
        (LogOptions(positive="ratng>=4"), "did you mean 'rating'"),
    ],
)
def test_options_that_do_not_fit_the_log(options: LogOptions, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        meaning.apply(shop(), options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (LogOptions(target="purchase"), "no column of kinds"),
        (LogOptions(negative=("skip",)), "no column of kinds"),
        (LogOptions(target="rating"), "no column of values"),
        (LogOptions(positive="rating>3"), "no column of values"),
    ],
)
def test_options_that_need_a_column_the_log_lacks(options: LogOptions, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        meaning.apply(plain(), options)


def test_a_condition_that_nothing_meets_is_an_error_not_an_empty_log() -> None:
    rows = [("a", "x", 0.0, "k", 1.0), ("a", "y", 1.0, "k", 2.0)]
    with pytest.raises(InputError, match=r"No event is left: 2 events are not rating>=4 and left out"):
        meaning.apply(shop(rows), LogOptions(positive="rating>=4"))


def test_a_session_makes_one_event_of_the_same_item_at_its_first_moment() -> None:
    options = LogOptions(session_gap="30min", weight={"view": 0.1, "cart": 0.5}, negative=("return",))
    events, notes = meaning.apply(shop(), options)
    assert told(events) == [
        "ann lamp purchase",  # viewed, in the cart, bought: bought says most
        "ann rug view",
        "bob lamp view",
        "ann lamp view",  # a new session
        "ann lamp return",  # a no is not folded into a yes
        "bob rug rating",
        "bob lamp rating",
        "bob vase rating",
    ]
    assert events.time is not None
    assert (events.time // MINUTE).tolist() == [0, 2, 3, 100, 101, 200, 201, 202]
    assert events.weight is not None
    assert events.value is not None
    assert (float(events.weight[0]), float(events.value[0])) == (1.0, 40.0)
    assert notes[0].startswith("2 events were the same item again within a session of 4")


def test_in_a_session_what_is_to_be_predicted_goes_before_a_heavier_kind() -> None:
    rows = [("a", "x", 0.0, "view", None), ("a", "x", 1.0, "purchase", None)]
    events, _ = meaning.apply(
        shop(rows), LogOptions(session_gap="1h", target="purchase", weight={"view": 9.0})
    )
    assert told(events) == ["a x purchase"]


def test_the_order_of_rows_in_the_file_does_not_change_sessions() -> None:
    options = LogOptions(session_gap="30min", weight={"view": 0.1, "cart": 0.5, "rating": 0.7})
    forward, _ = meaning.apply(shop(), options)
    backward, _ = meaning.apply(shop(SHOP[::-1]), options)
    assert sorted(told(forward)) == sorted(told(backward))


@given(st.integers(0, 1000), st.integers(1, 60), st.integers(1, 40))
def test_sessions_against_a_slow_and_obvious_folding(seed: int, n: int, at_once: int) -> None:
    random = np.random.default_rng(seed)
    kinds = ("view", "cart", "purchase", "return")
    rows = [
        (
            f"v{random.integers(3)}",
            f"i{random.integers(3)}",
            float(random.integers(200)),
            str(random.choice(kinds)),
            None,
        )
        for _ in range(n)
    ]
    weight = {"view": 0.1, "cart": 0.5, "return": 0.2}
    kept: dict[tuple[int, str, bool], tuple[int, str]] = {}
    session = 0
    for viewer in dict.fromkeys(row[0] for row in rows):
        mine = sorted((row[2], place) for place, row in enumerate(rows) if row[0] == viewer)
        for i, (minute, place) in enumerate(mine):
            session += i == 0 or minute - mine[i - 1][0] > 30
            kind = rows[place][3]
            key = (session, rows[place][1], kind == "return")
            first, best = kept.get(key, (place, kind))
            heavier = kind == "cart" != best or (best != "cart" and weight.get(kind, 1) > weight.get(best, 1))
            kept[key] = (first, kind if heavier else best)
    expected = [" ".join((rows[place][0], rows[place][1], kind)) for place, kind in sorted(kept.values())]
    events = shop(rows)
    named = {kind: value for kind, value in weight.items() if kind in events.kinds}
    options = LogOptions(
        session_gap="30min",
        weight=named,
        target="cart" if "cart" in events.kinds else None,
        negative=("return",) if {"return"} < set(events.kinds) else (),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meaning, "_FOLDED_AT_ONCE", at_once)
        folded, _ = meaning.apply(events, options)
    assert told(folded) == expected


def test_sessions_need_times() -> None:
    with pytest.raises(SettingsError, match="needs times"):
        meaning.apply(shop(times=False), LogOptions(session_gap="30min"))


def test_merged_viewers_share_a_session(tmp_path: Path) -> None:
    (tmp_path / "aliases.csv").write_text("old,new\nbob,ann\n")
    options = LogOptions(aliases=str(tmp_path / "aliases.csv"), session_gap="30min")
    events, _ = meaning.apply(shop(SHOP[:5]), options)
    assert told(events) == ["ann lamp view", "ann rug view"]


def test_the_events_that_were_handed_in_are_not_changed() -> None:
    events, before = shop(), shop()
    meaning.apply(
        events, LogOptions(session_gap="30min", weight={"view": 0.1}, positive="rating>1", target="cart")
    )
    for name in ("viewer", "item", "time", "kind", "value"):
        np.testing.assert_array_equal(getattr(events, name), getattr(before, name))
    assert (events.weight, events.target, events.negative) == (None, None, None)
