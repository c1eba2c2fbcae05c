"""Space files: what they say, and what is said of those that make no sense."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tune.test_space import spaces

from matinee.core.errors import DataError, SpaceError
from matinee.core.space import Choice, Span
from matinee.tune.space_file import read_space, space_text

EXAMPLE = """
[settings.rate]
low = 1e-4
high = 1.0
log = true
default = 0.01

[settings.layers]
low = 1
high = 4
whole = true

[settings.optimiser]
values = ["adam", "sgd"]

[settings.momentum]
low = 0.0
high = 0.99
when = { optimiser = "sgd" }

[settings.decays]
values = [[0.9], [0.6, 0.95]]
when = { layers = [2, 3] }
"""


def test_a_file_says_what_python_would(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(EXAMPLE)
    assert read_space(path) == {
        "rate": Span(low=1e-4, high=1.0, log=True, default=0.01),
        "layers": Span(low=1, high=4, whole=True),
        "optimiser": Choice(("adam", "sgd")),
        "momentum": Span(low=0.0, high=0.99, when=("optimiser", ("sgd",))),
        "decays": Choice(((0.9,), (0.6, 0.95)), when=("layers", (2, 3))),
    }


def test_what_is_written_is_read_unchanged(tmp_path_factory):
    path = tmp_path_factory.mktemp("space") / "space.toml"

    @given(spaces())
    def holds(space):
        if "None" in repr([getattr(values, "values", ()) for values in space.values()]):
            with pytest.raises(SpaceError, match="a space file knows no None"):
                space_text(space)
            return
        path.write_text(space_text(space), encoding="utf-8")
        again = read_space(path)
        assert again == space
        assert list(again) == list(space)

    holds()


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8")))
def test_any_name_and_any_text_can_be_written(name, word):
    written = tomllib.loads(space_text({name: Choice((word, "other"))}))
    assert written == {"settings": {name: {"values": [word, "other"]}}}


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (("high = 1.0", "high = 0.0"), 4, "rate.high: expected 0.0001 (low) or more, found 0.0."),
        (("low = 1e-4", "low = 0"), 3, "rate.low: a logarithm needs more than 0, found 0"),
        (("log = true", "logg = true"), 5, "rate.logg: Unknown key of a setting 'logg': did you mean 'log'?"),
        (("log = true", "log = 1"), 5, "rate.log: expected true or false, found 1."),
        (
            ("default = 0.01", "default = 7"),
            6,
            "rate.default: expected a number from 0.0001 to 1.0, found 7.",
        ),
        (("high = 4\n", ""), 8, "layers.high: expected low and high, or values."),
        (("low = 1\n", "low = 1.5\n"), 9, "layers.low: expected a whole number, found 1.5."),
        (("low = 1\n", "low = true\n"), 9, "layers.low: expected a whole number, found True."),
        (('["adam", "sgd"]', "3"), 14, "optimiser.values: expected a list, found 3."),
        (('["adam", "sgd"]', "[]"), 14, "optimiser.values: expected a list of at least one value"),
        (('["adam", "sgd"]', "[1979-05-27]"), 14, "optimiser.values: expected text, finite numbers"),
        (('["adam", "sgd"]', '["adam"]\nlog = true'), 15, "optimiser.log: values stand alone"),
        (
            ('optimiser = "sgd"', 'optimizer = "sgd"'),
            19,
            "momentum.when: there is no setting 'optimizer': did you",
        ),
        (
            ('optimiser = "sgd"', 'optimiser = "sdg"'),
            19,
            "momentum.when: 'optimiser' is never 'sdg': it can be",
        ),
        (('optimiser = "sgd"', ""), 19, "momentum.when: expected one other setting with its values"),
        (("layers = [2, 3]", "rate = [0.1]"), 23, "decays.when: 'rate' takes any number of a range"),
        (("layers = [2, 3]", "decays = [[0.9]]"), 23, "decays.when: conditions go round in a ring"),
    ],
)
def test_an_error_names_file_line_and_key(tmp_path, change, line, said):
    path = tmp_path / "space.toml"
    assert change[0] in EXAMPLE
    path.write_text(EXAMPLE.replace(*change, 1))
    with pytest.raises(SpaceError) as caught:
        read_space(path)
    assert str(caught.value).startswith(f"{path}, line {line}, {said}"), caught.value
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[settings]\nrate = {low = 2, high = 1}\n", "line 2, rate.high: expected 2"),
        ("[settings]\nrate.high = 1\nrate.low = 2\n", "line 2, rate.high: expected 2"),
        ("settings.rate = 7\n", "line 1, rate: expected low and high, or values, found 7"),
        (
            "[settings.a]\nvalues = [1]\n[settings.b]\nvalues=[1]\n[settings.b.when]\na = 2\n",
            "line 5, b.when: 'a' is",
        ),
        ("['settings'.\"a b\"]\nlow = 1\n", "line 1, a b.high: expected low and high"),
    ],
)
def test_other_ways_to_write_a_table_are_found_too(tmp_path, text, said):
    path = tmp_path / "space.toml"
    path.write_text(text)
    with pytest.raises(SpaceError) as caught:
        read_space(path)
    assert str(caught.value).startswith(f"{path}, {said}"), caught.value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[settings.rate\n", "expected a TOML file.*line 1"),
        ("", "expected tables .settings.NAME. and nothing else, found nothing"),
        ("[setting.rate]\nlow = 1\n", "found 'setting'"),
        ("settings = 3\n", "found 'settings'"),
    ],
)
def test_what_is_no_space_file_is_refused(tmp_path, text, said):
    path = tmp_path / "space.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        read_space(path)
    with pytest.raises(DataError, match="it cannot be read"):
        read_space(tmp_path / "none.toml")
