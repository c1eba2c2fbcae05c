import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.answers.top import top_k, top_k_of_one
from matinee.core.seeds import shuffle_keys
from matinee.serve.arrange import Ranked, Wish, arrange, newer_first

N = 200


def ranked(seed=0, n=N, likeness=None, values=lambda column, code: (code % 5,), shown=lambda code: True):
    scores = np.random.default_rng(seed).standard_normal(n).astype(np.float32)
    return Ranked(
        scores=scores,
        keys=shuffle_keys(n + 10),
        values=values,
        likeness=likeness or (lambda codes: np.eye(len(codes), dtype=np.float32)),
        shown=shown,
    )


def codes(found):
    return [one.code for one in found]


@given(
    st.integers(1, 400),
    st.integers(1, 60),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 1, 3]),
    st.floats(0, 1),
)
@settings(max_examples=200, deadline=None)
def test_one_asker_gets_what_the_batch_gets(n, k, seed, decimals, struck):
    random = np.random.default_rng(seed)
    scores = random.standard_normal(n).round(decimals).astype(np.float32)
    scores[random.random(n) < struck] = -np.inf
    keys = shuffle_keys(n)
    expected, values = top_k(scores[None], k, keys)
    found, told = top_k_of_one(scores, k, keys)
    kept = expected[0] >= 0
    assert found.tolist() == expected[0][kept].tolist()
    assert told.tolist() == values[0][kept].tolist()


def test_many_ties_are_settled_by_the_keys():
    scores = np.zeros(5000, np.float32)
    scores[::3] = -np.inf
    keys = shuffle_keys(5000)
    expected, _ = top_k(scores[None], 20, keys)
    assert top_k_of_one(scores, 20, keys)[0].tolist() == expected[0].tolist()


WISHES = [
    {},
    {"pinned": (7, 3, 7)},
    {"most": {"series": 3}},
    {"diversity": 0.5},
    {"pinned": (7,), "most": {"series": 20}, "diversity": 0.3},
]


@pytest.mark.parametrize("wish", WISHES)
def test_pages_fit_each_other(wish):
    likeness = lambda codes: (codes[:, None] % 7 == codes % 7).astype(np.float32)  # noqa: E731
    one = ranked(likeness=likeness)
    whole = arrange(one, Wish(k=90, **wish))
    pages = [arrange(one, Wish(k=15, offset=start, **wish)) for start in range(0, 90, 15)]
    assert [item for page in pages for item in page] == whole
    assert len(set(codes(whole))) == len(whole)


def test_pins_come_first_where_they_may_be_shown():
    one = ranked(shown=lambda code: code == 205)
    one.scores[9] = -np.inf
    found = arrange(one, Wish(k=4, pinned=(9, 205, 4, 206)))
    assert codes(found)[:2] == [205, 4]
    assert [item.pinned for item in found] == [True, True, False, False]
    assert found[0].score is None
    assert found[1].score == pytest.approx(float(one.scores[4]))


def test_no_column_has_more_than_its_most():
    found = arrange(ranked(), Wish(k=50, most={"series": 2}))
    assert len(found) == 10
    assert all(codes(found).count(code) == 1 for code in codes(found))
    series = [code % 5 for code in codes(found)]
    assert max(series.count(one) for one in range(5)) == 2


def test_an_item_without_a_value_is_not_held_back():
    found = arrange(ranked(values=lambda column, code: ()), Wish(k=50, most={"series": 1}))
    assert len(found) == 50


def test_pins_count_and_stay():
    found = arrange(ranked(), Wish(k=10, pinned=(5, 10), most={"series": 1}))
    assert codes(found)[:2] == [5, 10]
    assert sorted({code % 5 for code in codes(found)[2:]}) == [1, 2, 3, 4]


def slow_mmr(scores, likeness, diversity, k):
    low, span = scores.min(), scores.max() - scores.min()
    chosen = []
    while len(chosen) < k:
        best = max(
            (i for i in range(len(scores)) if i not in chosen),
            key=lambda i: (
                (1 - diversity) * (scores[i] - low) / span
                - diversity * max((likeness[i, j] for j in chosen), default=0.0)
            ),
        )
        chosen.append(best)
    return chosen


@pytest.mark.parametrize("diversity", [0.2, 0.7, 0.95])
def test_diversity_is_marginal_relevance(diversity):
    random = np.random.default_rng(3)
    vectors = random.standard_normal((60, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    near = (vectors @ vectors.T).astype(np.float32)
    one = ranked(n=60, likeness=lambda codes: near[np.ix_(codes, codes)])
    found = codes(arrange(one, Wish(k=12, diversity=diversity)))
    assert found == slow_mmr(one.scores, near, diversity, 12)


def test_diversity_begins_with_the_best():
    one = ranked(likeness=lambda codes: np.ones((len(codes), len(codes)), np.float32))
    assert codes(arrange(one, Wish(k=1, diversity=1.0))) == [int(one.scores.argmax())]


def test_freshness_reaches_from_scores_alone_to_newness_alone():
    scores = np.array([3.0, -np.inf, 2.0, 1.0], np.float32)
    newness = np.array([0.0, 1.0, 0.5, 0.75, 1.0], np.float32)
    alone = newer_first(scores, newness, 1.0)
    assert np.argsort(-alone).tolist()[:2] == [4, 3]
    assert alone[1] == -np.inf
    barely = newer_first(scores, newness, 0.01)
    assert np.argsort(-barely).tolist()[:3] == [0, 2, 4]


def test_nothing_to_show_is_an_empty_page():
    one = ranked()
    one.scores[:] = -np.inf
    for wish in WISHES:
        assert arrange(one, Wish(k=5, **wish)) == []
