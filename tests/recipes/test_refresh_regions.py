"""A bundle by region day after day: a refresh fits it by region again, and an update does."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from tests.recipes.two_ways import two_ways

import matinee
from matinee.answers.model import load
from matinee.answers.regions import REGIONS
from matinee.core.errors import InputError
from matinee.data.options import LogOptions
from matinee.data.read import read_log
from matinee.recipes.activate import activate, used_in
from matinee.recipes.fit import FitOptions, fit_bundle, fit_model
from matinee.recipes.refresh import RefreshOptions, refresh


def write(folder, log, until):
    """The log's files: events before a moment, and the table of viewers."""
    histories = log.histories
    with (folder / "log.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["user_id", "item_id", "timestamp"])
        for viewer, item, time in zip(histories.rows(), histories.items, histories.times, strict=True):
            if time < until:
                rows.writerow([f"v{viewer}", f"i{item}", int(time) + 1_600_000_000_000])
    with (folder / "viewers.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["user_id", "region"])
        rows.writerows(
            zip(log.viewer_table["id"].to_pylist(), log.viewer_table["region"].to_pylist(), strict=True)
        )


def test_a_refresh_fits_by_region_again(tmp_path):
    log = two_ways()
    moments = np.sort(log.histories.times)
    write(tmp_path, log, moments[int(0.95 * len(moments))])
    options = LogOptions(viewers=str(tmp_path / "viewers.csv"))
    source = [str(tmp_path / "log.csv")]
    asked = FitOptions(recommender="transitions", by="region", least_viewers=40)
    fit_bundle(read_log(source, options), tmp_path / "days/first", asked)
    activate(tmp_path / "days", "first")
    write(tmp_path, log, moments[-1] + 1)
    with pytest.raises(InputError, match="--viewers FILE"):
        refresh(source, tmp_path / "days")
    done = refresh(source, tmp_path / "days", options, RefreshOptions(gate=-1.0))
    assert done.state == "activated"
    name = used_in(tmp_path / "days")
    assert name != "first"
    model = load(tmp_path / "days" / name)
    assert len(model.log) == len(log)
    told = model.facts["regions"]
    assert (told["column"], told["least_viewers"]) == ("region", 40)
    assert model.parts[REGIONS].settings["regions"] == ["east", "west"]


def test_an_update_fits_by_region_again():
    log = two_ways()
    asked = FitOptions(recommender="popularity", by="region", least_viewers=40)
    model = fit_model(log, asked)
    longer = replace(log, fingerprint="3" * 64)
    fresh = matinee.update(model, longer)
    assert fresh.facts["update"] == "fitted anew: by region no sums are kept"
    assert fresh.facts["regions"]["rows"] == model.facts["regions"]["rows"]
