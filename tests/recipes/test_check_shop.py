from pathlib import Path
from typing import Any

import pytest
from pyarrow import types

from matinee.data.options import LogOptions
from matinee.data.read import read_log
from matinee.recipes.check import check, check_files
from matinee.simulate.options import SimulationOptions
from matinee.simulate.shop import simulate_shop

OPTIONS = SimulationOptions(viewers=400, items=150, events=8000, seed=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shop")


@pytest.fixture(scope="module")
def truth(folder: Path) -> dict[str, Any]:
    return simulate_shop(OPTIONS, folder)


def test_check_finds_the_mess_that_was_planted(folder: Path, truth: dict[str, Any]) -> None:
    planted = truth["planted"]
    options = LogOptions(aliases=str(folder / "aliases.csv"), items=str(folder / "items.csv"))
    report = check_files([folder / "log.csv"], options)
    signs = {sign.name: sign for sign in report.signs}
    assert report.log["rows"] == truth["rows"]
    assert report.log["duplicates"] == planted["duplicates"]
    assert report.counts.viewers == OPTIONS.viewers + len(planted["bots"])
    assert set(signs["suspected_bots"].examples) == set(planted["bots"])
    assert signs["suspected_bots"].number == len(planted["bots"])
    assert signs["future"].number == planted["clocks_in_the_future"]
    assert signs["ancient"].number == planted["clocks_at_1970"]
    assert report.notes[0].startswith(f"{planted['merged_viewers']} viewers of the log go by another id")
    assert set(report.counts.kinds) == set(truth["kinds"])
    assert "kinds_alike" in signs


def test_what_the_shop_means_can_be_said(folder: Path, truth: dict[str, Any]) -> None:
    options = LogOptions(
        columns={"value": "price"},
        target="purchase",
        weight={"view": 0.1, "cart": 0.5},
        negative=("dislike", "return"),
        repeats=True,
        session_gap="30min",
        aliases=str(folder / "aliases.csv"),
        items=str(folder / "items.csv"),
    )
    log = read_log(folder / "log.csv", options)
    report = check(log, options)
    kinds = truth["kinds"]
    assert log.repeats
    assert log.negatives is not None
    # A viewer who turned an item down twice did so once; a copied row, once.
    assert (
        0.9 * (kinds["dislike"] + kinds["return"])
        < len(log.negatives.values)
        <= kinds["dislike"] + kinds["return"]
    )
    assert report.counts.targets == report.counts.kinds["purchase"]
    assert report.counts.kinds["purchase"] <= kinds["purchase"]
    # Every wish has one to four views: sessions leave about one event of each.
    assert report.counts.events < truth["rows"] / 2
    assert {"kinds_alike", "repeats"}.isdisjoint(sign.name for sign in report.signs)
    assert types.is_int64(log.item_table.schema.field("available_until").type)
    gone = log.item_table.column("available_until")
    assert len(gone) - gone.null_count == truth["planted"]["delisted_items"]


def test_the_order_of_the_files_rows_changes_nothing_but_ties(folder: Path, truth: dict[str, Any]) -> None:
    del truth
    lines = (folder / "log.csv").read_text(encoding="utf-8").splitlines()
    turned = folder / "turned.csv"
    turned.write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n", encoding="utf-8")
    options = LogOptions(target="purchase", negative=("return",), session_gap="30min")
    first, second = (check_files([path], options) for path in (folder / "log.csv", turned))
    assert first.counts == second.counts
