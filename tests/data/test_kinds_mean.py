import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from matinee.answers.model import load
from matinee.data.kinds_mean import KindsMean, kinds_mean_from_json
from matinee.data.log import meaning_of
from matinee.data.options import LogOptions
from matinee.data.read import read_log
from matinee.recommenders.popularity import Popularity
from matinee.testing.made_logs import log_of

KINDS = ["view", "rating", "dislike", "purchase"]


def a_log(**options):
    rows = [
        ("a", "x", "view", None),
        ("a", "y", "rating", 5.0),
        ("a", "z", "rating", 1.0),
        ("b", "x", "purchase", None),
        ("b", "y", "dislike", None),
        ("b", "z", "view", None),
    ]
    user, item, kind, value = zip(*rows, strict=True)
    table = pa.table({"user": user, "item": item, "kind": kind, "value": value, "time": range(1000, 1006)})
    return read_log(table, LogOptions(**options))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"positive": "rating>=4"},
        {"positive": "value>=4"},
        {"negative": ("dislike",), "positive": "rating>=4", "weight": {"view": 0.1, "purchase": 1.0}},
    ],
)
def test_an_event_alone_means_what_it_means_in_the_log(options):
    log = a_log(**options)
    meaning = meaning_of(log)
    kept = set()
    for viewer in range(log.n_viewers):
        start, end = log.histories.offsets[viewer : viewer + 2]
        for item, kind in zip(log.histories.items[start:end], log.histories.kinds[start:end], strict=True):
            kept.add((log.viewers.id(viewer), log.items.id(item), log.kinds[kind]))
    rows = [
        ("a", "x", "view", None),
        ("a", "y", "rating", 5.0),
        ("a", "z", "rating", 1.0),
        ("b", "x", "purchase", None),
        ("b", "y", "dislike", None),
        ("b", "z", "view", None),
    ]
    told = {(user, item, kind) for user, item, kind, value in rows if meaning.teaches(kind, value)}
    assert told == kept
    assert meaning.says_no("dislike") is bool(options.get("negative"))
    if log.histories.weights is not None:
        named = {
            log.kinds[kind]: weight
            for kind, weight in zip(log.histories.kinds, log.histories.weights, strict=True)
        }
        assert all(np.float32(meaning.weight.get(kind, 1.0)) == weight for kind, weight in named.items())


def test_a_rating_without_a_value_is_not_good():
    meaning = meaning_of(a_log(positive="rating>=4"))
    assert not meaning.teaches("rating", None)
    assert meaning.teaches("view", None)
    # Kinds that came later are judged by nobody.
    assert meaning.teaches("share", None)


def test_in_a_log_without_kinds_whatever_brings_a_value_is_judged():
    table = pa.table({"user": ["a", "a"], "item": ["x", "y"], "rating": [5.0, 2.0], "time": [1000, 2000]})
    meaning = meaning_of(read_log(table, LogOptions(positive="rating>=4")))
    assert meaning.teaches("watch", None)
    assert meaning.teaches("rating", 4.0)
    assert not meaning.teaches("rating", 3.5)


def test_well_known_noes_say_no_where_the_log_does_not_know_them():
    assert KindsMean().says_no("dislike")
    assert not KindsMean(kinds=("dislike", "like")).says_no("dislike")
    assert not KindsMean().says_no("watch")


def test_the_kind_of_a_bare_choice():
    assert KindsMean().main_kind() == "watch"
    assert KindsMean(kinds=("dislike", "view"), negative=("dislike",)).main_kind() == "view"
    assert KindsMean(kinds=("view", "buy"), target="buy").main_kind() == "buy"
    # A rating without its number teaches nothing: it cannot stand for "chosen".
    judged = KindsMean(kinds=("rating", "view"), positive="rating>=4", judged=("rating",))
    assert judged.main_kind() == "view"
    assert KindsMean(kinds=("rating",), positive="rating>=4", judged=("rating",)).main_kind() == "watch"
    assert replace(judged, target="rating").main_kind() == "view"


def test_a_bundle_keeps_the_meaning(tmp_path):
    log = a_log(negative=("dislike",), positive="rating>=4", weight={"view": 0.1}, session_gap="30min")
    Popularity().fit(log).save(tmp_path / "bundle")
    found = meaning_of(load(tmp_path / "bundle").log)
    assert found == log.meaning
    assert found.session_gap_ms == 30 * 60 * 1000
    assert kinds_mean_from_json(json.loads(json.dumps(found.to_json()))) == found


def test_a_bundle_from_before_says_what_it_does_say(tmp_path):
    log = log_of([[0, 1], [1]], kinds=("view", "buy"), target="buy")
    assert log.meaning is None
    Popularity().fit(log).save(tmp_path / "bundle")
    found = meaning_of(load(tmp_path / "bundle").log)
    assert (found.kinds, found.target, found.negative) == (("view", "buy"), "buy", ())
