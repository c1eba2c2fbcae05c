"""The product of a network and other models is its formula, to the letter, and survives being written."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.answers.compact import sparse_tensors
from matinee.answers.context import Context, context_of
from matinee.answers.model import Model, load
from matinee.answers.scorers import JOINED, SCORERS, make_scorer
from matinee.core.errors import BundleError, InputError, SettingsError
from matinee.core.promise import Part
from matinee.core.types import Histories, histories_of, newcomers
from matinee.recommenders import make_recommender
from matinee.testing.tastes import predictable_log

N_ITEMS, WIDTH = 20, 8


def a_network(seed=0, n_items=N_ITEMS, ordered=True):
    """The part of a network of one layer, its weights drawn at random."""
    random = np.random.default_rng(seed)

    def drawn(*shape):
        return random.normal(0.0, 0.5, shape).astype(np.float32)

    tensors = {"items": drawn(n_items, WIDTH), "distances.slopes": np.log([0.6, 0.95]).astype(np.float32)}
    if not ordered:
        tensors["asking"] = drawn(WIDTH)
    shapes = {"attention.into": (24, 8), "attention.out": (8, 8)}
    shapes |= {"forward_layer.into": (16, 8), "forward_layer.out": (8, 16)}
    for name, shape in shapes.items():
        tensors[f"blocks.0.{name}.weight"] = drawn(*shape)
        tensors[f"blocks.0.{name}.bias"] = drawn(shape[0])
    for norm in ("blocks.0.norms.0", "blocks.0.norms.1", "last_norm"):
        tensors[f"{norm}.weight"], tensors[f"{norm}.bias"] = 1 + drawn(WIDTH), drawn(WIDTH)
    told = {"layers": 1, "heads": 2, "gated": False, "positions": "distance", "times": False}
    told |= {"longest": 6, "ordered": ordered, "temperature": 0.7}
    return Part(kind="network", settings=told, tensors=tensors)


def a_sparse_model(seed=1, bias=False):
    """A linear part of which each event speaks for a few items."""
    random = np.random.default_rng(seed)
    weights = random.normal(0.1, 0.3, (2 * N_ITEMS, N_ITEMS)) * (random.random((2 * N_ITEMS, N_ITEMS)) < 0.2)
    tensors = {"weights": weights.astype(np.float32)}
    if bias:
        tensors["bias"] = random.normal(0.0, 0.05, N_ITEMS).astype(np.float32)
    return Part(kind="linear", settings={"decays": [0.5, 0.9], "windows": [4, 0]}, tensors=tensors)


def factors():
    items = np.random.default_rng(2).normal(0.0, 1.0, (N_ITEMS, 4)).astype(np.float32)
    told = {"decay": 0.8, "unobserved": 0.1, "ridge": 0.1, "exponent": 1.0}
    return Part(kind="factors", settings=told, tensors={"items": items})


def a_context(n_items=N_ITEMS):
    return Context(n_items=n_items, popularity=np.ones(n_items, np.float32))


def product_of(parts, weights, floors=None, lengths=()):
    floors = [0.01] * (len(parts) - 1) if floors is None else floors
    told = {"parts": list(parts), "floors": floors, "weights": weights, "lengths": list(lengths)}
    return Part(kind="product", settings=told, tensors={})


def the_formula(product, parts, histories):
    """Scores by the formula, in double precision, an asker and an item at a time."""
    told, rows = product.settings, []
    first, *others = (make_scorer(parts[name], a_context()) for name in told["parts"])
    for row in range(len(histories)):
        asker = newcomers(histories.take(np.array([row])))
        known = [code for code in asker.histories.items if 0 <= code < N_ITEMS]
        sort = sum(len(known) >= length for length in told["lengths"])
        logits = first.score(asker)[0].astype(np.float64)
        scores = logits - np.log(np.exp(logits).sum())
        for other, floor, weights in zip(others, told["floors"], told["weights"], strict=True):
            found = other.score(asker)[0].astype(np.float64)
            scores = scores + [weights[sort] * np.log(max(one, floor)) for one in found]
        rows.append(scores)
    return np.array(rows)


HISTORIES = st.lists(st.lists(st.integers(-2, N_ITEMS + 1), max_size=12), min_size=1, max_size=5)


@settings(deadline=None)
@given(
    lists=HISTORIES,
    lengths=st.lists(st.integers(1, 10), max_size=2, unique=True).map(sorted),
    weights=st.lists(st.floats(0.0, 3.0), min_size=9, max_size=9),
    floors=st.lists(st.sampled_from([1e-4, 0.05, 2.0]), min_size=3, max_size=3),
)
def test_scores_are_the_formula(lists, lengths, weights, floors):
    parts = {"network": a_network(), "a": a_sparse_model(), "b": a_sparse_model(3, bias=True), "c": factors()}
    names = list(parts) if all(0 <= code < N_ITEMS for row in lists for code in row) else list(parts)[:3]
    sorts = len(lengths) + 1
    table = [weights[3 * p : 3 * p + sorts] for p in range(len(names) - 1)]
    product = product_of(names, table, floors[: len(names) - 1], lengths)
    found = make_scorer(product, a_context(), parts).score(newcomers(histories_of(lists)))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, the_formula(product, parts, histories_of(lists)), atol=2e-4)


@settings(deadline=None)
@given(lists=HISTORIES)
def test_an_asker_alone_is_answered_as_in_company(lists):
    parts = {"network": a_network(), "linear": a_sparse_model()}
    scorer = make_scorer(product_of(parts, [[0.7, 1.5]], lengths=[3]), a_context(), parts)
    askers = newcomers(histories_of(lists))
    together = scorer.score(askers)
    for row in range(len(askers)):
        alone = scorer.score(askers.take(np.array([row])))
        np.testing.assert_allclose(alone[0], together[row], atol=1e-4)


@settings(deadline=None)
@given(history=st.lists(st.integers(-2, N_ITEMS + 1), max_size=14), bias=st.booleans())
def test_leaving_out_in_a_linear_model_is_answering_without(history, bias):
    scorer = make_scorer(a_sparse_model(bias=bias), a_context())
    for item in (0, 5, 19):
        expected = _one_by_one(scorer, history, item)
        found = scorer.without_each(newcomers(histories_of([history])), np.array([item]))[0]
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("partner", ["linear", "factors"])
@pytest.mark.parametrize("lengths", [[], [4, 5, 9]])
def test_contributions_are_what_leaving_out_loses(partner, lengths):
    parts = {"network": a_network(), "linear": a_sparse_model(), "factors": factors()}
    weights = [1.5, 0.5, 1.0, 0.0][: len(lengths) + 1]
    scorer = make_scorer(product_of(["network", partner], [weights], lengths=lengths), a_context(), parts)
    random = np.random.default_rng(0)
    lowest = -2 if partner == "linear" else 0
    for n, item in itertools.product((0, 1, 4, 5, 6, 7, 9), (2, 11)):
        history = random.integers(lowest, N_ITEMS, n).tolist()
        # Without an event a history may be one of the short ones: that is not what the event has to say.
        sort = sum(sum(0 <= code < N_ITEMS for code in history) >= length for length in lengths)
        alike = make_scorer(product_of(["network", partner], [[weights[sort]]]), a_context(), parts)
        np.testing.assert_allclose(
            scorer.score(newcomers(histories_of([history]))),
            alike.score(newcomers(histories_of([history]))),
            atol=1e-4,
        )
        scores = _one_by_one(alike, history, item)
        found = scorer.contributions(newcomers(histories_of([history])), item)
        np.testing.assert_allclose(found, scores[0] - scores[1:], atol=1e-4)


def _one_by_one(scorer, history, item):
    """The score of an item for a history, then that without each event."""
    lists = [history, *(history[:place] + history[place + 1 :] for place in range(len(history)))]
    return np.array([scorer.score(newcomers(histories_of([one])))[0, item] for one in lists])


def test_whoever_one_part_knows_nothing_about_is_answered_by_the_others():
    silent = replace(a_sparse_model(), tensors={"weights": np.zeros((2 * N_ITEMS, N_ITEMS), np.float32)})
    parts = {"network": a_network(), "linear": silent}
    askers = newcomers(histories_of([[1, 2, 3], []]))
    found = make_scorer(product_of(parts, [[1.0]]), a_context(), parts)
    logits = make_scorer(parts["network"], a_context()).score(askers)
    assert found.personal(askers).tolist() == [True, False]
    np.testing.assert_allclose(np.diff(found.score(askers)), np.diff(logits), atol=1e-5)


def test_a_part_that_has_no_say_is_not_asked(monkeypatch):
    parts = {"network": a_network(), "linear": a_sparse_model()}
    scorer = make_scorer(product_of(parts, [[0.0, 1.0]], lengths=[3]), a_context(), parts)
    asked, linear = [], type(make_scorer(parts["linear"], a_context()))
    score = linear.score
    monkeypatch.setattr(linear, "score", lambda self, who: asked.append(len(who)) or score(self, who))
    scorer.score(newcomers(histories_of([[1]])))
    assert asked == []
    scorer.score(newcomers(histories_of([[1, 2, 3, 4]])))
    assert asked == [1]


def popular(scores):
    return Part(kind="popular", settings={}, tensors={"scores": np.asarray(scores, np.float32)})


def test_what_is_popular_has_its_say_and_is_nothing_personal():
    counts = np.random.default_rng(5).integers(0, 50, N_ITEMS)
    parts = {"network": a_network(), "linear": a_sparse_model(), "recent": popular(counts)}
    product = product_of(parts, [[0.0, 0.5, 1.5], [0.7, 0.25, 0.0]], [0.01, 0.5], [1, 3])
    scorer = make_scorer(product, a_context(), parts)
    histories = histories_of([[], [-1], [2], [2, 5, 7, 9]])
    found = scorer.score(newcomers(histories))
    np.testing.assert_allclose(found, the_formula(product, parts, histories), atol=2e-4)
    assert scorer.personal(newcomers(histories)).tolist() == [False, False, True, True]
    for row, personal in enumerate([False, False, True, True]):
        alone = newcomers(histories.take(np.array([row])))
        assert scorer.personal(alone).tolist() == [personal]
    short = newcomers(histories.take(np.array([2])))
    codes = np.array([3, 11, 0])
    some = scorer.scores_of(short, codes)
    np.testing.assert_allclose(some - some[0], (found[2] - found[2, 3])[codes], atol=1e-4)
    assert [name for name, _ in scorer.voices(short)] == ["network", "linear", "recent"]
    reached = scorer.voices(short)[-1][1].reached(short, 4)
    assert sorted(-counts[reached]) == sorted(-counts)[:4]
    contributions = scorer.contributions(short, 11)
    without = scorer.voices(short)[-1][1].without_each(short, codes)
    np.testing.assert_array_equal(without, np.repeat(counts[codes][:, None], 2, axis=1))
    assert np.isfinite(contributions).all()


@pytest.mark.parametrize("begins", [True, False])
def test_who_has_no_history_is_answered_by_what_people_begin_with_where_that_is_better(begins, tmp_path):
    log = predictable_log(80)
    opened = a_network(n_items=log.n_items)
    tensors = {**opened.tensors, "opening": np.random.default_rng(3).normal(size=WIDTH).astype(np.float32)}
    opened = replace(opened, settings={**opened.settings, "opening": True}, tensors=tensors)
    counts = np.random.default_rng(4).integers(0, 50, log.n_items)
    product = product_of(["network", "recent"], [[1.0, 0.0]], [0.5], [1])
    product = replace(product, settings={**product.settings, "begins": begins})
    parts = {"network": opened, "recent": popular(counts), "blend": product}
    model = Model(name="blend", config={}, parts=parts, log=log, context=context_of(log))
    nobody = newcomers(histories_of([[], [-1], [3]]))
    found = model.scores(nobody)
    expected = model.context.popularity
    if begins:
        logits = make_scorer(opened, model.context).score(nobody)[0] + np.log(np.maximum(counts, 0.5))
        expected = np.exp(logits - logits.max())
        expected *= model.context.popularity.max()
    np.testing.assert_allclose(found[:2], np.tile(expected, (2, 1)), rtol=1e-3)
    assert (found[:2] >= 0).all()
    model.save(tmp_path / "b")
    for one in (model, load(tmp_path / "b")):
        top = one.recommend_history([[], ["nothing known"], ["i3"]], k=4)
        assert top.sources == ["fallback:popular", "fallback:popular", "blend"]
        assert top.codes[0].tolist() == top.codes[1].tolist()
        best = np.sort(expected)[::-1][:4]
        np.testing.assert_allclose(np.sort(expected[top.codes[0]])[::-1], best, rtol=1e-6)
        assert one.reasons(nobody.take(np.array([0])), 3, personal=False) == ["popular now"]


def test_scores_far_apart_stay_finite():
    part = a_network()
    part = replace(part, settings={**part.settings, "temperature": 1e-3})
    parts = {"network": part, "linear": a_sparse_model()}
    scorer = make_scorer(product_of(parts, [[3.0]], [1e-30]), a_context(), parts)
    assert np.isfinite(scorer.score(newcomers(histories_of([[1, 2], [3], []])))).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"parts": ["linear", "network"]}, "a network first"),
        ({"parts": ["network", "nothing"]}, "needs the part 'nothing'"),
        ({"parts": ["network", "product"]}, "kind of part 'product'"),
        ({"floors": [0.0]}, "a floor above 0"),
        ({"floors": [0.1, 0.1]}, "a floor above 0"),
        ({"weights": [[1.0, 2.0]]}, "1 weights of at least 0"),
        ({"weights": [[-1.0]]}, "1 weights of at least 0"),
        ({"lengths": [5, 5]}, "lengths that ascend"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, words):
    parts = {"network": a_network(), "linear": a_sparse_model()}
    product = product_of(parts, [[1.0]])
    product = replace(product, settings={**product.settings, **changes})
    with pytest.raises(SettingsError, match=words):
        make_scorer(product, a_context(), {**parts, "product": product})


def test_every_kind_of_part_has_one_scorer():
    assert not set(JOINED) & set(SCORERS)


@pytest.fixture(scope="module")
def blend():
    """A model of three parts, over a log that the closed form was fitted on."""
    log = predictable_log(80)
    transitions = make_recommender("transitions").fit(log).parts["transitions"]
    parts = {
        "sequential": a_network(n_items=log.n_items),
        "transitions": transitions,
        "blend": product_of(["sequential", "transitions"], [[0.5, 1.0]], [2e-4], [4]),
    }
    return Model(name="blend", config={"floor": 2e-4}, parts=parts, log=log, context=context_of(log))


@pytest.mark.parametrize("people", [True, False])
def test_a_bundle_of_several_parts(blend, tmp_path, people):
    blend.save(tmp_path / "b", histories=people)
    loaded = load(tmp_path / "b")
    assert {path.name for path in (tmp_path / "b" / "parts").iterdir()} == set(blend.parts)
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert set(manifest["parts"]) == set(blend.parts)
    for name, tensor in blend.parts["sequential"].tensors.items():
        np.testing.assert_array_equal(loaded.parts["sequential"].tensors[name], tensor)
    assert loaded.parts["transitions"].tensors["weights"].dtype == np.uint16
    asked = [list(blend.log.items.ids([3, 4, 5])), list(blend.log.items.ids([40])), []]
    before, after = blend.recommend_history(asked, k=5), loaded.recommend_history(asked, k=5)
    assert before.sources == after.sources == ["blend", "blend", "fallback:popular"]
    assert np.mean(before.codes == after.codes) > 0.8
    np.testing.assert_allclose(before.scores, after.scores, atol=0.05)
    assert np.array_equal(loaded.similar(asked[1], k=3).codes, blend.similar(asked[1], k=3).codes)


def test_reasons_of_a_product_name_events(blend):
    history = Histories(items=np.array([3, 4, 5], np.int32), offsets=np.array([0, 3]))
    best = blend.scorer.score(newcomers(history))[0].argmax()
    (words,) = blend.reasons(newcomers(history), int(best), personal=True)
    assert words.startswith("because you watched ")


def test_a_bundle_whose_parts_answer_otherwise_is_refused(blend, tmp_path):
    from matinee.answers.manifest import write_manifest

    blend.save(tmp_path / "b")
    place = tmp_path / "b" / "parts" / "blend" / "config.json"
    plain = place.read_text()
    content = json.loads((tmp_path / "b" / "manifest.json").read_text())
    content = {key: value for key, value in content.items() if key not in ("files", "seal", "format")}
    for old, new, words in (
        ('"weights": [', '"weights": [ [3.0, 3.0] ], "was": [', "answered otherwise"),
        ('"transitions"', '"nobody"', "needs the part 'nobody'"),
        ('"transitions"', '"blend"', "kind of part 'product'"),
    ):
        assert old in plain
        place.write_text(plain.replace(old, new))
        write_manifest(tmp_path / "b", content)
        with pytest.raises(BundleError, match=words):
            load(tmp_path / "b")


def test_a_partner_that_needs_people_needs_them_in_a_product_too(blend, tmp_path):
    parts = {**blend.parts, "friends": Part(kind="friends", settings={}, tensors={})}
    with pytest.raises(InputError, match="other people's histories"):
        replace(blend, parts=parts).save(tmp_path / "b", histories=False)


def test_items_without_an_event_are_raised_by_the_lift_in_every_answer():
    network, sparse = a_network(), a_sparse_model()
    popularity = np.ones(N_ITEMS, np.float32)
    popularity[[3, 11]] = 0.0
    context = Context(n_items=N_ITEMS, popularity=popularity)
    part = product_of(["network", "linear"], [[1.5]])
    raised = replace(part, settings={**part.settings, "lift": 2.5})
    parts = {"network": network, "linear": sparse}
    plain, lifted = (make_scorer(one, context, {**parts, "product": one}) for one in (part, raised))
    askers = newcomers(histories_of([[1, 2], [3, 4, 5], [7]]))
    more = np.zeros(N_ITEMS, np.float32)
    more[[3, 11]] = 2.5
    np.testing.assert_allclose(lifted.score(askers), plain.score(askers) + more, atol=1e-5)
    alone = askers.take(np.array([1]))
    np.testing.assert_allclose(lifted.score(alone), plain.score(alone) + more, atol=1e-5)
    codes = np.array([11, 0, 3])
    np.testing.assert_allclose(
        lifted.scores_of(alone, codes), plain.scores_of(alone, codes) + more[codes], atol=1e-5
    )
    np.testing.assert_allclose(lifted.contributions(alone, 11), plain.contributions(alone, 11), atol=1e-5)


@pytest.mark.parametrize("n_items", [300, 5_000])
def test_in_company_of_a_large_catalogue_scores_are_those_of_each_alone(n_items):
    random = np.random.default_rng(5)
    weights = scipy.sparse.random_array(
        (2 * n_items, n_items), density=8 / n_items, format="csr", dtype=np.float32, rng=random
    )
    sparse = Part(
        kind="linear", settings={"decays": [0.5, 0.9], "windows": [4, 0]}, tensors=sparse_tensors(weights)
    )
    told = {"decay": 1.0, "unobserved": 0.1, "ridge": 0.1, "exponent": 1.0}
    vectors = random.normal(0.0, 1.0, (n_items, 4)).astype(np.float32)
    joined = {"parts": ["network", "sparse", "factors"], "floors": [2e-2, 1e-2], "lengths": []}
    parts = {
        "network": a_network(n_items=n_items),
        "sparse": sparse,
        "factors": Part(kind="factors", settings=told, tensors={"items": vectors}),
        "product": Part(kind="product", settings=joined | {"weights": [[1.0], [0.5]]}, tensors={}),
    }
    context = Context(n_items=n_items, popularity=np.ones(n_items, np.float32))
    scorer = make_scorer(parts["product"], context, parts)
    rows = [random.choice(n_items, size, replace=False).tolist() for size in range(1, 13)]
    together = scorer.score(newcomers(histories_of(rows)))
    partners = [make_scorer(parts[name], context) for name in ("sparse", "factors")]
    assert partners[0].few(newcomers(histories_of(rows))) is not None
    for row, scores in zip(rows, together, strict=True):
        np.testing.assert_allclose(
            scores, scorer.score(newcomers(histories_of([row])))[0], atol=2e-4, rtol=1e-4
        )
    raised = partners[0].score(newcomers(histories_of(rows))) > 2e-2
    assert raised.any()
    assert not raised.all()


def test_items_without_an_event_are_raised_as_their_sort_of_history_says():
    network, sparse = a_network(), a_sparse_model()
    popularity = np.ones(N_ITEMS, np.float32)
    popularity[[3, 11]] = 0.0
    context = Context(n_items=N_ITEMS, popularity=popularity)
    part = product_of(["network", "linear"], [[0.0, 0.5, 1.5]], lengths=[1, 3])
    raised = replace(part, settings={**part.settings, "lift": [0.0, 1.0, 2.5]})
    parts = {"network": network, "linear": sparse}
    plain, lifted = (make_scorer(one, context, {**parts, "product": one}) for one in (part, raised))
    askers = newcomers(histories_of([[], [1, 2], [3, 4, 5]]))
    more = np.zeros((3, N_ITEMS), np.float32)
    more[1, [3, 11]], more[2, [3, 11]] = 1.0, 2.5
    np.testing.assert_allclose(lifted.score(askers), plain.score(askers) + more, atol=1e-5)
    codes = np.array([11, 0, 3])
    for row in range(3):
        alone = askers.take(np.array([row]))
        np.testing.assert_allclose(lifted.score(alone)[0], plain.score(alone)[0] + more[row], atol=1e-5)
        np.testing.assert_allclose(
            lifted.scores_of(alone, codes), plain.scores_of(alone, codes) + more[row, codes], atol=1e-5
        )
    bad = replace(part, settings={**part.settings, "lift": [1.0, 2.0]})
    with pytest.raises(SettingsError, match="one lift, or 3"):
        make_scorer(bad, context, {**parts, "product": bad})
