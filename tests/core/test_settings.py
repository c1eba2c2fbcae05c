from dataclasses import dataclass

import pytest

from matinee.core.errors import SettingsError
from matinee.core.settings import config_values, make_config, parse_pairs


@dataclass(frozen=True, kw_only=True)
class Config:
    ridge: float = 1.0
    decays: tuple[float, ...] = (0.5,)
    top: int | None = None
    centred: bool = False
    norm: str = "l2"


def test_words_become_the_types_of_the_fields():
    words = {"ridge": "250", "decays": ".6,.95", "top": "10", "centred": "yes", "norm": "l1"}
    made = make_config(Config, words, "ease")
    assert made == Config(ridge=250.0, decays=(0.6, 0.95), top=10, centred=True, norm="l1")


def test_none_and_a_single_value_of_a_tuple():
    made = make_config(Config, {"top": "none", "decays": 0.7}, "ease")
    assert made.top is None
    assert made.decays == (0.7,)


def test_an_unknown_key_names_the_nearest():
    with pytest.raises(SettingsError, match="did you mean 'ridge'"):
        make_config(Config, {"rigde": 1}, "ease")


@pytest.mark.parametrize("bad", [{"ridge": "abc"}, {"top": "1.5"}, {"centred": "perhaps"}, {"ridge": [1]}])
def test_a_value_that_does_not_fit_is_a_settings_error(bad):
    with pytest.raises(SettingsError, match="ease"):
        make_config(Config, bad, "ease")


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"ridge": "much"}, "Setting of ease: ridge: expected a number, found 'much'."),
        ({"ridge": [1]}, "Setting of ease: ridge: expected a number, found [1]."),
        ({"ridge": "nan"}, "Setting of ease: ridge: expected a finite number, found 'nan'."),
        ({"top": "1.5"}, "Setting of ease: top: expected a whole number, found '1.5'."),
        ({"top": "inf"}, "Setting of ease: top: expected a finite number, found 'inf'."),
        ({"decays": ".5,x"}, "Setting of ease: decays: expected a number, found 'x'."),
        ({"centred": "perhaps"}, "Setting of ease: centred: expected true or false, found 'perhaps'."),
    ],
)
def test_the_sentence_names_the_key_and_what_was_found(bad, words):
    with pytest.raises(SettingsError) as refused:
        make_config(Config, bad, "ease")
    assert str(refused.value) == words


def test_pairs():
    assert parse_pairs(["ridge=250", "norm = a=b"]) == {"ridge": "250", "norm": "a=b"}
    with pytest.raises(SettingsError, match="key=value"):
        parse_pairs(["ridge"])


def test_config_values_are_plain_json():
    assert config_values(Config()) == {
        "ridge": 1.0,
        "decays": [0.5],
        "top": None,
        "centred": False,
        "norm": "l2",
    }


def test_what_has_no_settings_says_so():
    from matinee.recommenders import make_recommender

    with pytest.raises(
        SettingsError, match=r"Unknown setting of popularity 'x': popularity has no settings\.$"
    ):
        make_recommender("popularity", {"x": "1"})


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("ease", {"features": "-1"}),
        ("ease", {"ridge": "inf"}),
        ("ials", {"factors": "inf"}),
        ("item_knn", {"neighbours": "nan"}),
        ("transitions", {"decays": ".5,.5"}),
        ("transitions", {"features": "-1"}),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name, bad):
    from matinee.recommenders import make_recommender

    with pytest.raises(SettingsError, match=f"{name}.*{next(iter(bad))}"):
        make_recommender(name, bad)
