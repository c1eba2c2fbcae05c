"""The cube of a space, held to what it promises over spaces of every kind."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.core.errors import SettingsError
from matinee.core.space import Choice, Space, Span, draw, in_order, is_there
from matinee.tune.space import Cube, default_settings

NUMBERS = st.floats(-1e9, 1e9, allow_nan=False)
WORDS = st.sampled_from(["a", "b", "cd", (1, 2), (0.5,), True, False, None, 3, 2.5])


@st.composite
def spans(draw_one, whole):
    log = draw_one(st.booleans())
    least = (1 if whole else 1e-9) if log else -1e9
    ends = st.integers(math.ceil(least), 10**9) if whole else st.floats(least, 1e9)
    low, high = sorted((draw_one(ends), draw_one(ends)))
    return Span(low=low, high=high, log=log, whole=whole)


CHOICES = st.one_of(
    st.lists(WORDS, min_size=1, max_size=5).map(lambda values: Choice(tuple(values))),
    st.lists(st.floats(-9, 9), min_size=1, max_size=6, unique=True).map(lambda v: Choice(tuple(sorted(v)))),
)


@st.composite
def spaces(draw_one):
    """Up to six settings, some of which look at an earlier one; they may stand in any order."""
    found = {}
    for name in "abcdef"[: draw_one(st.integers(1, 6))]:
        values = draw_one(st.one_of(spans(False), spans(True), CHOICES))
        parents = [one for one in found if not (isinstance(found[one], Span) and not found[one].whole)]
        if parents and draw_one(st.booleans()):
            parent = draw_one(st.sampled_from(parents))
            known = found[parent]
            some = known.values if isinstance(known, Choice) else (known.low, known.high)
            when = (parent, tuple(draw_one(st.lists(st.sampled_from(some), min_size=1, max_size=2))))
            values = _with(values, when)
        found[name] = values
    return {name: found[name] for name in draw_one(st.permutations(list(found)))}


def _with(values, when):
    if isinstance(values, Choice):
        return Choice(values.values, when=when)
    return Span(low=values.low, high=values.high, log=values.log, whole=values.whole, when=when)


def valid(space: Space, settings):
    for name, values in space.items():
        assert (name in settings) == is_there(values, settings), (name, settings)
    for name, value in settings.items():
        assert space[name].holds(value), (name, value)
        if isinstance(space[name], Span):
            assert type(value) is (int if space[name].whole else float)


@given(spaces(), st.integers(0, 2**32))
def test_what_is_drawn_is_encoded_and_decoded_unchanged(space, seed):
    cube, settings = Cube.of(space), draw(space, np.random.default_rng(seed))
    valid(space, settings)
    point = cube.encode(settings)
    assert point.shape == (cube.n,)
    assert ((point >= 0) & (point <= 1)).all()
    assert np.allclose(cube.snap(point[None])[0], point, rtol=0, atol=1e-12)
    again = cube.decode(point)
    assert list(again) == [name for name in space if name in settings]
    for name, value in settings.items():
        if isinstance(value, float) and isinstance(space[name], Span):
            assert again[name] == pytest.approx(value, rel=1e-6, abs=1e-6)
        else:
            assert again[name] == value


@given(spaces(), st.integers(0, 2**32))
def test_snapped_points_stand_for_settings_and_stay(space, seed):
    cube, random = Cube.of(space), np.random.default_rng(seed)
    points = np.concatenate(
        [random.uniform(-0.2, 1.2, (20, cube.n)), np.zeros((1, cube.n)), np.ones((1, cube.n))]
    )
    snapped = cube.snap(points)
    assert snapped.shape == points.shape
    assert np.allclose(cube.snap(snapped), snapped, rtol=0, atol=1e-12)
    for before, place in zip(points, snapped, strict=True):
        settings = cube.decode(place)
        valid(space, settings)
        assert cube.decode(before) == settings
        assert np.allclose(cube.encode(settings), place, rtol=0, atol=1e-9)


@given(spaces(), st.integers(0, 2**32))
def test_drawn_points_are_snapped_and_valid(space, seed):
    cube = Cube.of(space)
    points = cube.draw(30, np.random.default_rng(seed))
    assert np.allclose(cube.snap(points), points, rtol=0, atol=1e-12)
    for point in points:
        valid(space, cube.decode(point))
    assert np.array_equal(points, cube.draw(30, np.random.default_rng(seed)))


@given(spaces())
def test_a_free_column_has_no_places_of_its_own(space):
    cube, random = Cube.of(space), np.random.default_rng(0)
    points = cube.draw(50, random)
    moved = points.copy()
    moved[:, cube.free] += random.uniform(-1e-3, 1e-3, (50, int(cube.free.sum())))
    left_out = points == 0.5
    kept = np.where(left_out, points, np.clip(moved, 0, 1))
    assert np.array_equal(np.where(left_out, points, cube.snap(kept)), kept)


def test_columns_of_each_kind():
    cube = Cube.of(
        {
            "rate": Span(low=1e-4, high=1.0, log=True),
            "layers": Span(low=1, high=4, whole=True),
            "kind": Choice(("x", "y", "z")),
            "gated": Choice((False, True)),
            "width": Choice((32, 64, 128)),
            "fixed": Choice(("one",)),
        }
    )
    assert cube.n == 1 + 1 + 3 + 1 + 1
    assert cube.free.tolist() == [True] + [False] * 6
    settings = {"rate": 0.01, "layers": 4, "kind": "y", "gated": True, "width": 64, "fixed": "one"}
    assert cube.encode(settings) == pytest.approx([0.5, 0.875, 0, 1, 0, 1, 0.5])
    assert cube.decode(cube.encode(settings)) == pytest.approx(settings)
    assert cube.columns["kind"] == slice(2, 5)


def test_true_is_not_one_and_a_list_is_the_tuple_it_was():
    cube = Cube.of({"a": Choice((1, True, "1")), "decays": Choice(((0.9,), (0.6, 0.95), (0.8, 0.98)))})
    for value in (1, True, "1"):
        decoded = cube.decode(cube.encode({"a": value, "decays": [0.6, 0.95]}))
        assert decoded["a"] is value
        assert decoded["decays"] == (0.6, 0.95)


def test_a_value_that_stands_there_thrice_is_drawn_thrice_as_often():
    cube = Cube.of({"best_only": Choice((False, False, False, True))})
    assert cube.draw(4000, np.random.default_rng(0)).mean() == pytest.approx(0.25, abs=0.03)


def test_whole_numbers_of_a_range_are_drawn_alike_often():
    cube = Cube.of({"k": Span(low=3, high=6, whole=True)})
    drawn = [cube.decode(point)["k"] for point in cube.draw(4000, np.random.default_rng(0))]
    assert np.bincount(drawn)[3:] / 4000 == pytest.approx([0.25] * 4, abs=0.03)


NESTED = {
    "momentum": Span(low=0.0, high=0.99, when=("optimiser", ("sgd",))),
    "nesterov": Choice((False, True), when=("optimiser", ("sgd", "nag"))),
    "optimiser": Choice(("sgd", "nag", "adam"), when=("network", (True,))),
    "network": Choice((True, False)),
}


def test_what_a_condition_leaves_out_takes_what_hangs_on_it_along():
    cube = Cube.of(NESTED)
    assert cube.decode(cube.encode({"network": False})) == {"network": False}
    # What is left out is no news: its columns are 1/2, whatever somebody wrote there.
    assert np.array_equal(
        cube.encode({"network": False, "optimiser": "sgd", "momentum": 0.9}), cube.encode({"network": False})
    )
    seen = {tuple(cube.decode(point)) for point in cube.draw(300, np.random.default_rng(0))}
    assert seen == {
        ("network",),
        ("optimiser", "network"),
        ("nesterov", "optimiser", "network"),
        ("momentum", "nesterov", "optimiser", "network"),
    }


def test_conditions_look_at_given_settings_too():
    space = {name: values for name, values in NESTED.items() if name != "network"}
    random = np.random.default_rng(0)
    assert all(draw(space, random, {"network": False}) == {} for _ in range(20))
    assert all("optimiser" in draw(space, random, {"network": True}) for _ in range(20))


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"a": Choice((1, 2), when=("a", (1,)))}, r"round in a ring \(a -> a\)"),
        (
            {"a": Choice((1, 2), when=("b", (1,))), "b": Choice((1, 2), when=("a", (1,)))},
            r"round in a ring \(a -> b -> a\)",
        ),
        ({"a": Choice((1,), when=("widht", (1,))), "width": Choice((1,))}, "did you mean 'width'"),
        ({"a": Choice((1,), when=("b", (3,))), "b": Choice((1, 2))}, "'b' is never 3: it can be 1, 2"),
        ({"a": Choice((1,), when=("b", (0.5,))), "b": Span(low=0, high=1)}, "any number of a range"),
    ],
)
def test_conditions_that_cannot_be_met_are_refused(space, said):
    with pytest.raises(SettingsError, match=said):
        in_order(space)
    with pytest.raises(SettingsError, match=said):
        Cube.of(space)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Span(low=2, high=1), r"expected 2 \(low\) or more, found 1"),
        (lambda: Span(low=0, high=1, log=True), "a logarithm needs more than 0"),
        (lambda: Span(low=0.5, high=2, whole=True), "low: expected a whole number, found 0.5"),
        (lambda: Span(low=0, high=math.inf), "high: expected a finite number"),
        (lambda: Span(low=0, high=10**400), "high: expected a finite number"),
        (lambda: Span(low=-1e308, high=1e308), r"expected -1e\+308 \(low\) or more"),
        (lambda: Span(low=0, high="1"), "high: expected a finite number, found '1'"),
        (lambda: Span(low=0, high=1, default=2), "default: expected a number from 0 to 1, found 2"),
        (lambda: Choice(()), "values: expected a list of at least one value"),
        (lambda: Choice("abc"), "values: expected a list of at least one value, found 'abc'"),
        (lambda: Choice((1, 2), default=3), "default: expected one of 1, 2, found 3"),
        (lambda: Choice((1,), when="b"), "when: expected another setting's name and its values"),
    ],
)
def test_values_that_make_no_sense_are_refused_in_a_sentence(make, said):
    with pytest.raises(SettingsError, match=said):
        make()


def test_a_missing_or_foreign_value_is_told():
    cube = Cube.of({"kind": Choice(("x", "y", "z")), "rate": Span(low=0, high=1)})
    with pytest.raises(SettingsError, match="rate: expected a value, found none"):
        cube.encode({"kind": "x"})
    with pytest.raises(SettingsError, match="kind: expected one of 'x', 'y', 'z', found 'w'"):
        cube.encode({"kind": "w", "rate": 0.5})
    # A default may lie outside of what is searched.
    assert cube.encode({"kind": "x", "rate": 7})[3] == 1.0
    assert Cube.of({"width": Choice((32, 64, 128))}).encode({"width": 48}) == pytest.approx([1 / 6])


def test_defaults_are_joined_by_the_middle_of_the_others():
    space = {
        "rate": Span(low=1e-4, high=1.0, log=True, default=0.1),
        "layers": Span(low=1, high=3, whole=True),
        "head": Choice((1, 2), when=("layers", (1,))),
    }
    assert default_settings(space) == pytest.approx({"rate": 0.1, "layers": 2})
    assert default_settings({"rate": Span(low=0, high=1)}) is None
