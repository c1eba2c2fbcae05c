"""The shop log: what truth.json says was planted is in the files, and the reader makes sense of them."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matinee.core.errors import SettingsError
from matinee.data.options import LogOptions
from matinee.data.read import read_log
from matinee.simulate import SimulationOptions
from matinee.simulate.options import SPAN_MS, START_MS
from matinee.simulate.shop import KINDS, simulate_shop

OPTIONS = SimulationOptions(viewers=500, items=150, events=8_000, predictability=0.6, seed=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shop")


@pytest.fixture(scope="module")
def truth(folder: Path) -> dict[str, Any]:
    return simulate_shop(OPTIONS, folder)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_mess_is_what_was_planted(folder: Path, truth: dict[str, Any]) -> None:
    rows, planted = rows_of(folder / "log.csv"), truth["planted"]
    times = np.array([int(row["time"]) for row in rows])
    assert len(rows) == truth["rows"]
    assert Counter(row["kind"] for row in rows) == truth["kinds"]
    assert set(truth["kinds"]) == set(KINDS)
    assert min(truth["kinds"].values()) > 0
    assert (times < 1e10).sum() == planted["clocks_at_1970"] > 0
    assert (times > START_MS + 2 * SPAN_MS).sum() == planted["clocks_in_the_future"] > 0
    assert len(rows) - len({tuple(row.values()) for row in rows}) == planted["duplicates"] > 0
    bots = [row for row in rows if row["viewer"] in planted["bots"]]
    assert len(bots) == planted["bot_rows"] > 1_000
    assert {row["kind"] for row in bots} == {"view"}


def test_funnel_repeats_and_prices(folder: Path, truth: dict[str, Any]) -> None:
    rows = rows_of(folder / "log.csv")
    kinds = truth["kinds"]
    assert kinds["view"] > kinds["cart"] > kinds["purchase"] > kinds["return"] > 0
    bought = Counter((row["viewer"], row["item"]) for row in rows if row["kind"] == "purchase")
    consumable = {row["id"] for row in rows_of(folder / "items.csv") if row["consumable"] == "true"}
    assert len(consumable) == truth["planted"]["consumables"]
    again = Counter(item in consumable for (_, item), n in bought.items() if n > 2)
    assert again[True] > 10 * max(again[False], 1)
    assert all((row["price"] != "") == (row["kind"] in ("purchase", "return")) for row in rows)


def test_delisted_and_returning_items(folder: Path, truth: dict[str, Any]) -> None:
    items = {row["id"]: row for row in rows_of(folder / "items.csv")}
    until = {id_: int(row["available_until"]) for id_, row in items.items() if row["available_until"]}
    assert len(until) == truth["planted"]["delisted_items"] > 0
    returned_before = set()
    for row in rows_of(folder / "log.csv"):
        time = int(row["time"])
        if not START_MS <= time <= START_MS + SPAN_MS or row["kind"] == "return":
            continue
        assert time < until.get(row["item"], 2**62)
        if time < int(items[row["item"]]["available_from"]):
            returned_before.add(row["item"])
    assert 0 < len(returned_before) <= truth["planted"]["returning_items"]


def test_merged_viewers_are_in_the_aliases(folder: Path, truth: dict[str, Any]) -> None:
    aliases = rows_of(folder / "aliases.csv")
    assert len(aliases) == truth["planted"]["merged_viewers"] > 0
    viewers = {row["viewer"] for row in rows_of(folder / "log.csv")}
    assert {row["old"] for row in aliases} <= viewers
    assert sum(viewer.startswith("anon-") for viewer in viewers) == len(aliases)


def test_the_reader_makes_sense_of_it(folder: Path, truth: dict[str, Any]) -> None:
    options = LogOptions(
        items=str(folder / "items.csv"),
        aliases=str(folder / "aliases.csv"),
        target="purchase",
        negative=("return", "dislike"),
        weight={"view": 0.1, "cart": 0.5},
        repeats=True,
    )
    log = read_log(str(folder / "log.csv"), options)
    assert log.n_viewers == OPTIONS.viewers + len(truth["planted"]["bots"])
    assert log.n_items == OPTIONS.items
    assert log.negatives is not None
    assert log.histories.targets is not None
    assert 0 < log.histories.targets.sum() <= truth["kinds"]["purchase"]


def test_the_same_seed_gives_the_same_bytes(folder: Path, truth: dict[str, Any], tmp_path: Path) -> None:
    simulate_shop(OPTIONS, tmp_path)
    for name in ("log.csv", "items.csv", "aliases.csv", "truth.json"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_too_large_a_shop_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="at most 5,000,000 events"):
        simulate_shop(SimulationOptions(viewers=400_000, items=1_000, events=6_000_000), tmp_path)
