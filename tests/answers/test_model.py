"""Answers of a fitted model: newcomers, rules, ties, batches, likeness, reasons."""

from dataclasses import replace

import numpy as np
import pytest

from matinee.answers.rules import Rules
from matinee.answers.top import FALLBACK
from matinee.core.errors import InputError


def shown(answers, row=0):
    return [item for item in answers.items[row] if item is not None]


def test_recommends_what_the_history_speaks_for(model):
    answers = model.recommend(["u/1", "u,3"], k=3)
    assert shown(answers)[0] == " g h "
    assert shown(answers, 1)[0] == "007"
    assert answers.sources == ["ease", "ease"]
    assert not set(shown(answers)) & {"a/b", 'c "d"', "e,f"}


def test_alone_or_in_company_and_in_any_order(model):
    users = ["u/1", 'u "2"', "u,3", "ü 4"]
    together = model.recommend(users, k=4)
    backwards = model.recommend(users[::-1], k=4)
    for row, user in enumerate(users):
        assert together.items[row].tolist() == model.recommend([user], k=4).items[0].tolist()
        assert together.items[row].tolist() == backwards.items[3 - row].tolist()


@pytest.mark.parametrize("user", ["never heard of", "nobody"])
def test_newcomers_get_what_is_popular(model, user):
    answers = model.recommend([user], k=3)
    assert answers.sources == [FALLBACK]
    counts = model.context.popularity
    asked = model.log.items.codes(shown(answers))
    assert counts[asked].tolist() == sorted(counts, reverse=True)[:3]


def test_histories_of_newcomers_ignore_and_count_unknown_items(model):
    answers = model.recommend_history([["a/b", "what?", 'c "d"'], ["what?", "who?"], []], k=2)
    assert answers.unknown.tolist() == [1, 2, 0]
    assert answers.sources == ["ease", FALLBACK, FALLBACK]
    assert shown(answers)[0] == "e,f"
    assert answers.to_arrow().column_names[0] == "history"


def test_somebody_who_saw_everything_gets_an_empty_list_with_its_source(model):
    answers = model.recommend(["saw everything"], k=3)
    assert shown(answers) == []
    assert answers.sources == ["ease"]
    assert answers.to_arrow().num_rows == 0
    assert len(shown(model.recommend(["saw everything"], k=3, rules=Rules(repeats=True)))) == 3


def test_repeats_of_the_log_or_of_the_call(with_tables):
    model = with_tables(repeats=True)
    assert "e,f" in shown(model.recommend(["u/1"], k=8))
    assert "e,f" not in shown(model.recommend(["u/1"], k=8, rules=Rules(repeats=False)))


def test_exclude_and_only(model):
    assert " g h " not in shown(model.recommend(["u/1"], k=8, rules=Rules(exclude=[" g h ", "no such"])))
    only = shown(model.recommend(["u/1"], k=8, rules=Rules(only=["7", "a/b", "no such"])))
    assert only == ["7"]
    assert shown(model.recommend(["u/1"], k=8, rules=Rules(only=[]))) == []


def test_what_was_turned_down_never_comes_back(with_tables):
    model = with_tables(negatives=[[3], [], [], [], [], []])
    assert " g h " not in shown(model.recommend(["u/1"], k=8))
    assert " g h " not in shown(model.recommend(["u/1"], k=8, rules=Rules(repeats=True)))
    assert " g h " in shown(model.recommend_history([["a/b", 'c "d"', "e,f"]], k=8))


def test_availability_follows_the_clock(with_tables):
    model = with_tables(
        available_from=[None, None, None, 100, None, None, None, None],
        available_until=[None, None, None, None, 200, None, None, None],
    )

    def at(now):
        return set(shown(model.recommend(["u/1"], k=8, rules=Rules(now=now))))

    assert " g h " not in at(99)
    assert " g h " in at(100)
    assert "øüñ" in at(199)
    assert "øüñ" not in at(200)
    assert "øüñ" not in shown(model.recommend(["u/1"], k=8))


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("hidden", [None, False, False, True, False, False, False, False]),
        ("hidden", ["", "0", "no", "yes", "false", "", "0", "n"]),
        ("in_stock", [1, 1, 1, 0, None, 5, 1, 1]),
        ("in_stock", ["True", "1", "yes", "False", None, "y", "1", "1"]),
    ],
)
def test_hidden_and_sold_out_items_stay_away(with_tables, column, cells):
    answers = shown(with_tables(**{column: cells}).recommend(["u/1"], k=8))
    assert set(answers) == {"øüñ", "007", "7", "7.0"}
    similar = with_tables(**{column: cells}).similar(["e,f"], k=8)
    assert " g h " not in shown(similar)


def test_regions_hold_for_viewers_of_whom_one_is_known(with_tables):
    limits = [None, [], ["DE"], ["DE", "FR"], ["US"], None, ["US"], None]
    model = with_tables(regions=limits, viewers={"region": ["DE", "US", None, "FR", "DE", "DE"]})
    assert set(shown(model.recommend(["u/1"], k=8))) == {" g h ", "007", "7.0"}
    assert "øüñ" in shown(model.recommend(["u,3"], k=8, rules=Rules(repeats=True)))
    assert "øüñ" not in shown(model.recommend_history([["a/b"]], k=8, rules=Rules(region=" FR ")))
    texts = ["", "", "DE", "DE|FR", "US", "", "US", ""]
    same = with_tables(regions=texts, viewers={"region": ["DE", "US", None, "FR", "DE", "DE"]})
    assert shown(same.recommend(["u/1"], k=8)) == shown(model.recommend(["u/1"], k=8))


def test_similar_leaves_the_item_itself_out(model):
    answers = model.similar(["a/b", "7.0"], k=2)
    assert answers.items.tolist() == [['c "d"', "e,f"], ["a/b", 'c "d"']]
    with pytest.raises(InputError, match="no such"):
        model.similar(["no such"])


@pytest.mark.parametrize("ask", ["recommend", "recommend_history", "similar"])
def test_a_single_text_is_no_list(model, ask):
    with pytest.raises(InputError, match=r"write \['u/1'\]"):
        getattr(model, ask)("u/1")


def test_k_is_at_least_one(model):
    with pytest.raises(InputError, match="at least 1"):
        model.recommend(["u/1"], k=0)


def test_a_catalogue_of_one_item():
    import pyarrow as pa

    from matinee.answers.model import model_of
    from matinee.core.promise import Part
    from matinee.core.types import histories_of
    from matinee.data.log import InteractionLog
    from matinee.data.vocabulary import Vocabulary

    log = InteractionLog(
        viewers=Vocabulary(["u"]),
        items=Vocabulary(["only one"]),
        histories=histories_of([[0]]),
        item_table=pa.table({"id": ["only one"]}),
    )
    part = Part(kind="linear", settings={}, tensors={"weights": np.ones((1, 1), np.float32)})
    model = model_of("ease", {}, part, log)
    assert shown(model.recommend(["u"], k=10)) == []
    assert shown(model.recommend(["stranger"], k=10)) == ["only one"]
    assert shown(model.similar(["only one"])) == []


def test_reasons_name_what_contributed_most(model):
    asker = model.askers(["u/1"])
    item = model.log.items.code(" g h ")
    assert model.reasons(asker, item, personal=True) == ["because you watched Film 2 and Film 1"]
    assert model.reasons(asker, item, personal=False) == ["popular now"]
    assert model.reasons(asker, model.log.items.code("7"), personal=True) == []


def test_reasons_say_what_was_done(model):
    kinds = np.zeros(len(model.log), dtype=np.int8)
    kinds[1] = 1
    log = replace(model.log, kinds=("purchase", "view"), histories=replace(model.log.histories, kinds=kinds))
    model = replace(model, log=log)
    asker = model.askers(["u/1"])
    said = model.reasons(asker, model.log.items.code(" g h "), personal=True)
    assert said == ["because you bought Film 2 and looked at Film 1"]
