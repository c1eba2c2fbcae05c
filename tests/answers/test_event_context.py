"""What is known beside items is read by numpy as torch reads it, and by nobody who does not know it."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the network extra is not installed")

import pyarrow as pa  # noqa: E402
from tests.answers.test_network import (  # noqa: E402
    LONGEST,
    N_ITEMS,
    SOME,
    a_network,
    assert_equal,
    part_of,
    some_histories,
)

from matinee.answers import event_context as contexts  # noqa: E402
from matinee.answers.context import Context  # noqa: E402
from matinee.answers.model import Model  # noqa: E402
from matinee.answers.network import less_each, read_beside  # noqa: E402
from matinee.answers.reasons import NEAR, reasons  # noqa: E402
from matinee.answers.scorers import make_scorer  # noqa: E402
from matinee.core.types import Askers, histories_of, newcomers  # noqa: E402
from matinee.networks import sequential  # noqa: E402 - only where torch is

EDGES = [1.5, 2.5, 4.0]
SIZES = {"kind": 4, "value": len(EDGES) + 2, "gap": contexts.GAPS}
NAMES = ["east", "north", "west"]
TABLE = pa.table({"id": ["a", "b", "c", "d"], "region": ["north", " west ", None, "nowhere"]})


def told_histories(lengths, seed=0, **more):
    """Histories whose events are of kinds and values, some of which nobody knows."""
    found = some_histories(lengths, seed, **more)
    random = np.random.default_rng(seed + 1)
    kinds = random.integers(-1, 6, len(found.items)).astype(np.int8)
    values = random.choice([1.0, 1.5, 2.0, 3.9, 4.0, 7.0, np.nan], len(found.items)).astype(np.float32)
    return replace(found, kinds=kinds, values=values)


def a_pair(sorts=tuple(SIZES), regions=True, **options):
    """A network that reads what is known beside items, and its scorer."""
    told = {sort: SIZES[sort] for sort in sorts}
    network = a_network(**options, told=told, regions=len(NAMES) if regions else 0)
    settings = {**options, "value_edges": EDGES} | ({"region_names": NAMES} if regions else {})
    context = Context(n_items=N_ITEMS, popularity=np.ones(N_ITEMS, np.float32), viewers=TABLE)
    return network, make_scorer(part_of(network, **settings), context)


@torch.no_grad()
def by_torch(network, histories, regions, longest=LONGEST):
    """Scores of each history by torch, alone and unfilled, its codes written down by hand."""
    rows = []
    for row, region in enumerate(regions):
        one = histories.take(np.array([row])).last(longest)
        gaps = np.zeros(len(one.items), np.int64)
        for place in range(1, len(gaps)):
            seconds = (one.times[place] - one.times[place - 1]) / 1000.0
            gaps[place] = 1 if seconds < 1 else 2 + int(np.floor(np.log2(seconds)))
        steps = [0 if np.isnan(v) else 1 + sum(v >= edge for edge in EDGES) for v in one.values]
        kinds = [kind + 1 if 0 <= kind < 3 else 0 for kind in one.kinds]
        codes = {"kind": kinds, "value": steps, "gap": gaps}
        asked = network(
            sequential.Histories(
                items=torch.from_numpy(one.items.astype(np.int64))[None],
                lengths=torch.tensor([len(one.items)]),
                seconds=torch.from_numpy(one.times / 1000.0)[None],
                weights=torch.from_numpy(one.weights)[None],
                codes={name: torch.tensor(np.array(codes[name], np.int64))[None] for name in codes},
                regions=torch.tensor([region]),
            )
        )[0, -1]
        rows.append((asked @ network.items.T / 0.7).numpy())
    return np.stack(rows)


CHOICES = [
    {"layers": layers, "gated": gated, "opening": opening, "positions": positions}
    for layers, gated, opening, positions in itertools.product(
        (1, 2), (False, True), (False, True), ("distance", "places")
    )
]


@pytest.mark.parametrize("options", CHOICES, ids=str)
def test_many_and_one_as_torch(options):
    network, scorer = a_pair(times=True, **options)
    histories = told_histories([n for n in SOME if n], seed=4)
    where = [-1, 0, 1, 2, -1, 0, 1, 2][: len(histories)]
    said = tuple("unheard of" if place < 0 else NAMES[place] for place in where)
    askers = replace(newcomers(histories), regions=said)
    expected = by_torch(network, histories, where, LONGEST - options["opening"])
    assert_equal(scorer.score(askers), expected)
    alone = [scorer.score(askers.take(np.array([row]))) for row in range(len(askers))]
    assert_equal(np.concatenate(alone), expected)


def test_sets_as_torch():
    network, scorer = a_pair(("kind", "value"), ordered=False)
    histories = told_histories([3, LONGEST], times=False, weights=False)
    found = scorer.score(newcomers(histories).at("west"))
    with torch.no_grad():
        rows = []
        for row in range(2):
            one = histories.take(np.array([row]))
            asked = network(
                sequential.Histories(
                    items=torch.from_numpy(one.items.astype(np.int64))[None],
                    lengths=torch.tensor([len(one.items)]),
                    codes={
                        "kind": torch.from_numpy(contexts.kind_codes(one.kinds, len(one.items), 3))[None],
                        "value": torch.from_numpy(
                            contexts.value_codes(one.values, len(one.items), np.array(EDGES, np.float32))
                        )[None],
                    },
                    regions=torch.tensor([2]),
                )
            )[0, -1]
            rows.append((asked @ network.items.T / 0.7).numpy())
    assert_equal(found, np.stack(rows))


def test_where_a_viewer_is_the_table_says_unless_the_asker_does():
    _, scorer = a_pair((), opening=True)
    histories = some_histories([3, 3, 3, 3, 3], times=False, weights=False)
    one = histories.take(np.zeros(5, np.int64))
    askers = Askers(histories=one, viewers=np.array([0, 1, 2, 3, -1]))
    found = scorer.score(askers)
    somewhere = {name: scorer.score(newcomers(one).at(name))[0] for name in (*NAMES, "nowhere")}
    nowhere = scorer.score(newcomers(one))[0]
    for row, expected in enumerate(
        (somewhere["north"], somewhere["west"], nowhere, somewhere["nowhere"], nowhere)
    ):
        assert_equal(found[row], expected)
    np.testing.assert_array_equal(somewhere["nowhere"], nowhere)
    assert np.abs(somewhere["north"] - nowhere).max() > 0.1
    assert_equal(scorer.score(askers.at("east")), np.tile(somewhere["east"], (5, 1)))


def test_a_newcomer_of_a_known_region_is_told_what_is_liked_there():
    _, scorer = a_pair((), opening=True)
    nobody = newcomers(histories_of([[], [], [3]]))
    assert scorer.personal(replace(nobody, regions=("north", "nowhere", None))).tolist() == [
        True,
        False,
        True,
    ]
    assert scorer.personal(nobody).tolist() == [False, False, True]
    north, east = (scorer.score(nobody.at(name))[0] for name in ("north", "east"))
    assert_equal(scorer.score(nobody.at(" north "))[0], north)
    assert north.argsort().tolist() != east.argsort().tolist()
    assert reasons(scorer, nobody.take(np.array([0])).at("north"), [4], str) == [[NEAR]]
    # Without an opening nothing was learnt of what is asked for first.
    _, without = a_pair((), opening=False)
    assert not without.personal(nobody.at("north"))[:2].any()


@pytest.mark.parametrize("sorts", [("kind", "value"), ("kind", "value", "gap")])
@pytest.mark.parametrize("opening", [False, True])
def test_events_are_left_out_with_all_that_is_known_of_them(sorts, opening):
    _, scorer = a_pair(sorts, layers=2, times=True, opening=opening)
    for length in (1, 2, 6, LONGEST + 4):
        history = told_histories([length])
        asker = newcomers(history).at("east")
        found = scorer.without_each(asker, np.array([3, 8]))
        copies = newcomers(less_each(history, np.arange(length))).at("east")
        np.testing.assert_allclose(found, scorer.score(copies)[:, [3, 8]].T, atol=1e-4)


def test_the_same_history_of_other_kinds_or_elsewhere_is_explained_anew():
    _, scorer = a_pair()
    history = told_histories([5])
    other = replace(history, kinds=((history.kinds + 1) % 3).astype(np.int8))
    asked = [newcomers(history), newcomers(other), newcomers(history).at("west")]
    found = [scorer.without_each(asker, np.array([4])) for asker in asked]
    assert np.abs(found[0] - found[1]).max() > 1e-3
    assert np.abs(found[0] - found[2]).max() > 1e-3
    vectors = [scorer.asked(asker) for asker in asked]
    assert np.abs(vectors[0] - vectors[2]).max() > 1e-3
    assert_equal(vectors[2], scorer.vectors(asked[2])[0])


def test_unknown_items_take_what_is_known_of_them_along():
    network, scorer = a_pair(regions=False)
    history = told_histories([9], seed=2)
    history.items[[2, 5]] = -1
    kept = history.keep(history.items >= 0)
    assert_equal(scorer.score(newcomers(history)), by_torch(network, kept, [-1]))
    assert_equal(scorer.score(newcomers(history)), scorer.score(newcomers(kept)))


def test_a_history_of_which_nothing_else_is_known_is_read_as_such():
    _, scorer = a_pair(regions=False)
    history = some_histories([6], times=False, weights=False)
    unknown = replace(
        history, kinds=np.full(6, -1, np.int8), values=np.full(6, np.nan, np.float32), times=None
    )
    assert_equal(scorer.score(newcomers(history)), scorer.score(newcomers(unknown)))


def test_what_a_model_reads():
    network, _ = a_pair(("kind", "gap"), opening=True)
    part = part_of(network, opening=True, region_names=NAMES)
    assert read_beside({"a": part}) == {"kind", "gap", "region"}
    assert read_beside({"a": part_of(a_network())}) == frozenset()
    context = Context(n_items=N_ITEMS, popularity=np.ones(N_ITEMS, np.float32))
    model = Model(name="a", config={}, parts={"a": part}, log=None, context=context)
    assert model.reads == {"kind", "gap", "region"}
