from pathlib import Path

import pytest

from matinee.core.errors import InputError, SettingsError
from matinee.tune.prices import PRICES, read_prices

GOOD = """
source = "my account"
dated = "2026-11-20"
[[machine]]
name = "small"
price_per_hour = 0.1
cores = 2
[[machine]]
name = "fast"
price_per_hour = 1.5
spot_price_per_hour = 0.4
network_speed = 30
[gpu]
name = "card"
price = 400
"""


def written(folder: Path, words: str) -> Path:
    path = folder / "prices.toml"
    path.write_text(words, encoding="utf-8")
    return path


def test_without_a_file_the_built_in_table_says_whose_prices_it_has_and_of_when():
    prices = read_prices(None)
    assert prices is PRICES
    assert "us-east-2" in prices.source
    assert prices.dated == "2026-11"


def test_a_file_says_all_that_there_is(tmp_path: Path):
    prices = read_prices(written(tmp_path, GOOD))
    assert [machine.name for machine in prices.machines] == ["small", "fast"]
    assert [machine.least_price_per_hour for machine in prices.machines] == [0.1, 0.4]
    assert prices.gpu is not None
    assert prices.gpu.price == 400
    assert (prices.source, prices.dated) == ("my account", "2026-11-20")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("price_per_hour = 0.1", "", "machine 1 has no price_per_hour"),
        ("price_per_hour = 0.1", "price_per_hour = -1", "price_per_hour is -1: expected a number above 0"),
        ("price_per_hour = 0.1", "price_per_hour = inf", "expected a number above 0"),
        ("price_per_hour = 0.1", "price_per_hour = true", "expected a number above 0"),
        ("cores = 2", "cores = 2.5", "cores is 2.5: expected a whole number"),
        ("cores = 2", "coers = 2", "did you mean 'cores'"),
        ("network_speed = 30", "network_speed = 'much'", "machine 2: network_speed is 'much'"),
        ('name = "fast"', 'name = "small"', "has machine 'small' twice"),
        ('name = "fast"', 'name = " "', "name is ' ': expected a text"),
        ("price = 400", "", "gpu has no price"),
        ("dated", "date", "did you mean 'dated'"),
        ("[gpu]", "[gpu", "is no TOML"),
    ],
)
def test_what_is_off_is_named(tmp_path: Path, old: str, new: str, words: str):
    with pytest.raises(InputError, match=r"prices\.toml") as error:
        read_prices(written(tmp_path, GOOD.replace(old, new)))
    assert words in str(error.value)


def test_a_file_that_is_not_there_or_has_nothing_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="cannot be read"):
        read_prices(tmp_path / "none.toml")
    with pytest.raises(SettingsError, match="has no machine"):
        read_prices(written(tmp_path, 'source = "nobody"'))
    with pytest.raises(SettingsError, match="no list of tables"):
        read_prices(written(tmp_path, "machine = 3"))
    with pytest.raises(SettingsError, match=r"\[gpu\]"):
        read_prices(written(tmp_path, "gpu = 3"))
