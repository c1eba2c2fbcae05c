"""The numpy forward pass is torch's, for every option and every history."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.answers import network as networks
from matinee.answers.context import Context
from matinee.answers.scorers import make_scorer
from matinee.core.promise import Part
from matinee.core.seeds import shuffle_keys
from matinee.core.types import Askers, Histories, newcomers

torch = pytest.importorskip("torch", reason="the network extra is not installed")

from matinee.networks import sequential  # noqa: E402 - only where torch is

N_ITEMS, WIDTH, LONGEST = 30, 16, 12
OPTIONS = {
    "width": WIDTH,
    "layers": 2,
    "heads": 2,
    "hidden": 24,
    "gated": False,
    "positions": "distance",
    "times": False,
    "longest": LONGEST,
    "ordered": True,
}


def a_network(seed=0, **options):
    """An untrained network all of whose numbers are large enough to tell."""
    torch.manual_seed(seed)
    heads = options.get("heads", 2)
    decays = [0.6, 0.95, 0.3, 0.99][:heads]
    network = sequential.SequentialNetwork(N_ITEMS, **{**OPTIONS, **options}, decays=decays).eval()
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            tensor.normal_(1.0 if "norm" in name and name.endswith("weight") else 0.0, 0.4)
    return network


def part_of(network, temperature=0.7, **options):
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    told = {**OPTIONS, **options, "temperature": temperature}
    return Part(kind="network", settings=told, tensors=tensors)


def a_scorer(network, **options):
    popularity = np.ones(N_ITEMS, np.float32)
    return make_scorer(part_of(network, **options), Context(n_items=N_ITEMS, popularity=popularity))


def some_histories(lengths, seed=0, times=True, weights=True, lowest=0):
    random = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    n = int(offsets[-1])
    apart = np.exp(random.uniform(0, 18, n)).astype(np.int64) * random.integers(0, 2, n)
    return Histories(
        items=random.integers(lowest, N_ITEMS, n).astype(np.int32),
        offsets=offsets,
        times=1_600_000_000_000 + np.cumsum(apart) if times else None,
        weights=random.choice([0.0, 0.1, 1.0, 3.0], n).astype(np.float32) if weights else None,
    )


def by_hash(histories):
    """The same sets, their events in the order of which the last ones count."""
    weights = histories.weights
    order = []
    for row in range(len(histories)):
        places = range(histories.offsets[row], histories.offsets[row + 1])
        key = {
            place: (shuffle_keys(N_ITEMS)[histories.items[place]], 0 if weights is None else weights[place])
            for place in places
        }
        order += sorted(places, key=key.__getitem__)
    order = np.array(order, np.int64)
    weights = None if weights is None else weights[order]
    return Histories(items=histories.items[order], offsets=histories.offsets, weights=weights)


@torch.no_grad()
def by_torch(network, histories, longest=LONGEST, temperature=0.7):
    """Scores of each history by torch, alone and unfilled; zeros for one without known events."""
    clean = histories.keep((histories.items >= 0) & (histories.items < N_ITEMS))
    if not network.ordered:
        clean = by_hash(clean)
    clean = clean.last(longest)
    rows = []
    for row in range(len(clean)):
        one = clean.take(np.array([row]))
        if network.ordered and not len(one.items):
            rows.append(np.zeros(N_ITEMS, np.float32))
            continue
        asked = network(
            sequential.Histories(
                items=torch.from_numpy(one.items.astype(np.int64))[None],
                lengths=torch.tensor([len(one.items)]),
                seconds=None if one.times is None else torch.from_numpy(one.times / 1000.0)[None],
                weights=None if one.weights is None else torch.from_numpy(one.weights)[None],
            )
        )[0, -1]
        rows.append((asked @ network.items.T / temperature).numpy())
    return np.stack(rows)


def assert_equal(found, expected):
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5 * max(1.0, np.abs(expected).max()), rtol=0)


SOME = [0, 1, 2, 5, LONGEST, LONGEST + 1, 40, 1, 7]
CHOICES = list(
    itertools.product((False, True), ("distance", "steps", "places", "none"), (False, True), (0, 1, 3))
)


@pytest.mark.parametrize(("gated", "positions", "times", "layers"), CHOICES)
@pytest.mark.parametrize("weights", [False, True])
def test_every_option_is_torchs(gated, positions, times, layers, weights):
    options = {"gated": gated, "positions": positions, "times": times, "layers": layers}
    network = a_network(**options)
    histories = some_histories(SOME, weights=weights)
    found = a_scorer(network, **options).score(newcomers(histories))
    assert_equal(found, by_torch(network, histories))


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("layers", [0, 1, 2, 3])
def test_sets_are_torchs(gated, weights, layers):
    options = {"gated": gated, "layers": layers, "ordered": False}
    network = a_network(**options)
    histories = some_histories(SOME, weights=weights)
    scorer = a_scorer(network, **options)
    found = scorer.score(newcomers(histories))
    assert_equal(found, by_torch(network, histories))
    turned = [histories.take(np.array([row])) for row in range(len(histories))]
    backwards = Histories(
        items=np.concatenate([one.items[::-1] for one in turned]),
        offsets=histories.offsets,
        weights=np.concatenate([one.weights[::-1] for one in turned]) if weights else None,
    )
    assert_equal(scorer.score(newcomers(backwards)), found)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_heads(heads):
    network = a_network(heads=heads)
    histories = some_histories(SOME)
    assert_equal(a_scorer(network, heads=heads).score(newcomers(histories)), by_torch(network, histories))


@pytest.mark.parametrize("positions", ["distance", "steps", "none"])
def test_histories_of_several_stretches(positions):
    options = {"positions": positions, "times": True, "longest": 300}
    network = a_network(**options)
    histories = some_histories([300, 64, 65, 128, 129, 250, 450])
    assert_equal(a_scorer(network, **options).score(newcomers(histories)), by_torch(network, histories, 300))


@settings(max_examples=50, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 30), max_size=12),
    seed=st.integers(0, 10),
    weights=st.booleans(),
    options=st.fixed_dictionaries(
        {
            "gated": st.booleans(),
            "positions": st.sampled_from(["distance", "steps", "places", "none"]),
            "times": st.booleans(),
            "ordered": st.booleans(),
        }
    ),
)
def test_any_batch_is_torchs_and_each_alone(lengths, seed, weights, options):
    network = a_network(seed % 2, **options)
    scorer = a_scorer(network, **options)
    histories = some_histories([*lengths, 3], seed, weights=weights, lowest=-5)
    askers = newcomers(histories)
    together = scorer.score(askers)
    assert_equal(together, by_torch(network, histories))
    for row in range(min(3, len(askers))):
        assert_equal(scorer.score(askers.take(np.array([row]))), together[row : row + 1])


def test_a_network_that_looks_at_times_does_without():
    network = a_network(times=True)
    histories = some_histories(SOME, times=False)
    assert_equal(a_scorer(network, times=True).score(newcomers(histories)), by_torch(network, histories))


def test_octaves_of_seconds_are_torchs():
    from matinee.answers.layers import octaves
    from matinee.networks.attention_bias import time_buckets

    powers = 2.0 ** np.arange(-3, 40)
    seconds = np.concatenate([[0.0, -5.0], powers, powers - 0.001, powers + 0.001, 1.5 * powers])
    expected = time_buckets(torch.from_numpy(np.maximum(seconds, 0.0))).numpy()
    np.testing.assert_array_equal(octaves(seconds), expected)


def test_attention_that_sees_one_event_only():
    network = a_network()
    with torch.no_grad():
        for block in network.blocks:
            block.attention.into.weight.mul_(30.0)
    histories = some_histories(SOME)
    expected = by_torch(network, histories)
    # Logits of hundreds round to a thousandth, so the answers are equal to no more than that.
    np.testing.assert_allclose(a_scorer(network).score(newcomers(histories)), expected, atol=2e-2)


@pytest.mark.parametrize("size", [1.0, 300.0, -300.0])
def test_a_softmax_beyond_the_range_of_floats(size):
    from matinee.answers.forward_pass import _attend

    random = np.random.default_rng(0)
    queries, keys, values = (random.standard_normal((2, 5, 4)).astype(np.float32) for _ in range(3))
    bias = np.full((2, 5, 5), size, np.float32)
    logits = queries @ keys.swapaxes(1, 2)
    shares = np.exp(logits - logits.max(axis=2, keepdims=True))
    expected = (shares / shares.sum(axis=2, keepdims=True)) @ values
    np.testing.assert_allclose(_attend(queries, keys, values, bias), expected, atol=1e-4)


def test_who_gets_a_personal_answer():
    scorer = a_scorer(a_network())
    unknown = Histories(items=np.array([-1, N_ITEMS, 3, -1], np.int32), offsets=np.array([0, 0, 2, 4]))
    askers = Askers(histories=unknown, viewers=np.array([-1, 0, 1]))
    assert scorer.personal(askers).tolist() == [False, False, True]
    assert np.isfinite(scorer.score(askers)).all()
    assert scorer.score(askers.take(np.zeros(0, np.int64))).shape == (0, N_ITEMS)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("length", [0, 1, 6, LONGEST, LONGEST + 1, 30])
def test_contributions_are_what_leaving_out_loses(ordered, length):
    scorer = a_scorer(a_network(ordered=ordered, times=True), ordered=ordered, times=True)
    histories = some_histories([length, 4], lowest=-3)
    for row, item in itertools.product((0, 1, 0), (2, 7)):
        asker = newcomers(histories.take(np.array([row])))
        n = len(asker.histories.items)
        whole = scorer.score(asker)[0, item]
        losses = []
        for place in range(n):
            kept = np.arange(n) != place
            losses.append(whole - scorer.score(newcomers(asker.histories.keep(kept)))[0, item])
        np.testing.assert_allclose(scorer.contributions(asker, item), losses, atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"layers": 1},
        {"layers": 3, "gated": True},
        {"positions": "steps"},
        {"positions": "places"},
        {"positions": "none", "times": True},
        {"opening": True},
        {"opening": True, "positions": "steps", "layers": 1},
        {"opening": True, "positions": "places"},
        {"opening": True, "times": True},
    ],
    ids=str,
)
def test_every_sort_of_network_leaves_events_out(options):
    scorer = a_scorer(a_network(**options), **options)
    for length in (2, LONGEST, LONGEST + 4):
        history = some_histories([length])
        found = scorer.without_each(newcomers(history), np.array([3, 8]))
        copies = networks.less_each(history, np.arange(length))
        expected = scorer.score(newcomers(copies))[:, [3, 8]].T
        np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("ordered", [True, False])
def test_of_a_long_history_so_many_events_are_left_out(ordered, monkeypatch):
    monkeypatch.setattr(networks, "LEFT_OUT", 5)
    monkeypatch.setattr(networks, "_EVENTS", 10)
    monkeypatch.setattr(networks, "_FEWEST", 3)
    scorer = a_scorer(a_network(ordered=ordered), ordered=ordered)
    asker = newcomers(some_histories([10]))
    items = np.array([4, 9])
    found = scorer.contributions_to(asker, items)
    told = np.flatnonzero(found.any(axis=0))
    if ordered:
        assert told.tolist() == [5, 6, 7, 8, 9]
    else:
        liked = np.argsort(-scorer.score(asker)[0, asker.histories.items], kind="stable")[:3]
        assert sorted(asker.histories.items[told]) == sorted(asker.histories.items[liked])
    copies = newcomers(networks.less_each(asker.histories, told))
    scores = scorer.score(copies)[:, items].T
    np.testing.assert_allclose(found[:, told], scores[:, :1] - scores[:, 1:], atol=1e-4)


def test_an_asker_is_explained_once_for_all_items(monkeypatch):
    scorer = a_scorer(a_network())
    asked = []
    plain = scorer._network.without_each
    monkeypatch.setattr(
        scorer._network, "without_each", lambda one, n: asked.append((len(one.items), n)) or plain(one, n)
    )
    first, second = (newcomers(some_histories([length], seed)) for seed, length in ((1, 5), (2, 4)))
    for asker in (first, first, second, first):
        scorer.contributions(asker, 3)
    assert asked == [(5, 5), (4, 4), (5, 5)]


def test_similar_items_are_those_of_like_vectors():
    network = a_network()
    likeness = a_scorer(network).similar(np.array([4, 9], np.int32))
    table = torch.nn.functional.normalize(network.items.detach(), dim=1).numpy()
    np.testing.assert_allclose(likeness, table[[4, 9]] @ table.T, atol=1e-6)
    assert likeness.argmax(axis=1).tolist() == [4, 9]


@pytest.mark.parametrize(
    ("positions", "times", "layers"), [("distance", False, 2), ("steps", True, 2), ("places", True, 1)]
)
@pytest.mark.parametrize("weights", [False, True])
def test_an_opening_is_torchs_and_answers_those_without_a_history(positions, times, layers, weights):
    options = {"positions": positions, "times": times, "layers": layers, "opening": True}
    network = a_network(**options)
    scorer = a_scorer(network, **options)
    histories = some_histories(SOME, weights=weights)
    found = scorer.score(newcomers(histories))
    # The opening is one of the events that are read.
    expected = by_torch(network, histories, longest=LONGEST - 1)
    some = histories.lengths > 0
    assert_equal(found[some], expected[some])
    with torch.no_grad():
        nothing = torch.zeros(1, 0)
        asked = network(
            sequential.Histories(
                items=nothing.long(),
                lengths=torch.zeros(1, dtype=torch.long),
                seconds=nothing.double(),
                weights=nothing if weights else None,
            )
        )[0, -1]
        at_first = (asked @ network.items.T / 0.7).numpy()
    assert_equal(found[~some], at_first[None])
    for row in (0, 1, 6):
        alone = newcomers(histories.take(np.array([row])))
        assert_equal(scorer.score(alone), found[row : row + 1])
