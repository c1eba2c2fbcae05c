"""A daily run of a network goes on from the bundle in use, until a fit from scratch is due."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import matinee
from matinee.answers.manifest import bury
from matinee.answers.model import Model, load
from matinee.core.errors import MatineeError
from matinee.data.log import InteractionLog
from matinee.recipes import refresh as recipe
from matinee.recipes import refresh_warm
from matinee.recipes.refresh import Refreshed, RefreshOptions, refresh
from matinee.serve.sqlite_store import open_sqlite
from matinee.serve.start import start_service
from matinee.simulate.small import predictable

pytest.importorskip("torch", reason="needs torch: pip install 'matinee[network]'")

SETTINGS = {
    "sequential.width": 16,
    "sequential.layers": 1,
    "sequential.passes": 3,
    "sequential.longest": 20,
    "sequential.batch_events": 256,
    "ials.factors": 8,
    "ials.epochs": 2,
}
FIRST = RefreshOptions(recommender="blend", settings=SETTINGS)
ALL = RefreshOptions(gate=-0.9)


class Place:
    """A folder of bundles, and a file of what has happened by now."""

    def __init__(self, folder: Path, log: InteractionLog) -> None:
        self.folder, self.log = folder, log

    @property
    def bundles(self) -> Path:
        return self.folder / "bundles"

    def tell(self, share: float) -> None:
        histories = self.log.histories
        assert histories.times is not None
        order = np.argsort(histories.times, kind="stable")[: int(share * len(self.log))]
        viewers = self.log.viewers.ids(histories.rows()[order])
        items = self.log.items.ids(histories.items[order])
        lines = zip(viewers, items, histories.times[order].tolist(), strict=True)
        rows = "".join(f"{viewer},{item},{time}\n" for viewer, item, time in lines)
        (self.folder / "log.csv").write_text(f"user,item,time\n{rows}", encoding="utf-8")

    def run(self, share: float, options: RefreshOptions = ALL) -> Refreshed:
        self.tell(share)
        return refresh([str(self.folder / "log.csv")], self.bundles, options=options)

    def model(self, done: Refreshed) -> Model:
        return load(self.bundles / str(done.in_use))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("warm"), predictable())
    place.run(0.8, FIRST)
    return place


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    shutil.copytree(made.folder, tmp_path / "days")
    return Place(tmp_path / "days", made.log)


def test_runs_go_on_from_each_other_and_say_so(place: Place) -> None:
    first = place.run(0.85)
    assert first.state == "activated"
    assert first.facts["warm"] == {"from": first.facts["instead_of"], "refreshes": 1}
    assert first.facts["from_scratch_because"] == ""
    assert place.run(0.85).state == "nothing new"
    second = place.run(0.9)
    assert place.model(second).facts["warm"] == {"from": first.in_use, "refreshes": 2}
    assert second.facts["warm"] == place.model(second).facts["warm"]
    assert place.model(second).parts["sequential"].settings["passes_made"] <= 2
    assert place.run(0.9, RefreshOptions(from_scratch=True, gate=-0.9)).facts["warm"] is None
    assert place.run(0.9, RefreshOptions(from_scratch=True)).state == "nothing new"


def test_what_is_judged_saw_nothing_of_what_it_is_judged_by(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Model, InteractionLog]] = []
    plain = recipe.update

    def watched(model: Model, log: InteractionLog, **more: object) -> Model:
        seen.append((model, log))
        return plain(model, log, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(recipe, "update", watched)
    done = place.run(0.9)
    (used, before), (judged, everything) = seen
    moment = done.facts["judged"]["moment_ms"]
    assert used.log.histories.times.max() < moment
    assert before.histories.times is not None
    assert before.histories.times.max() < moment
    assert judged.log is before
    assert len(everything) == done.facts["events"]


def test_after_a_refusal_the_next_run_fits_from_scratch(place: Place) -> None:
    refused = place.run(0.9, RefreshOptions(gate=0.9))
    assert (refused.state, refused.facts["from_scratch_because"]) == ("refused", "")
    done = place.run(0.9)
    assert "the gate refused it" in done.facts["from_scratch_because"]
    assert (done.state, place.model(done).facts["warm"]) == ("activated", None)
    assert place.model(done).facts["refresh"]["from_scratch_because"] == done.facts["from_scratch_because"]
    assert place.run(0.92).facts["warm"]["refreshes"] == 1


def test_after_so_many_runs_in_a_row_one_fits_from_scratch(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh_warm, "MOST_REFRESHES", 1)
    assert place.run(0.84).facts["warm"]["refreshes"] == 1
    assert "gone on 1 times in a row" in place.run(0.88).facts["from_scratch_because"]


def test_other_settings_ask_for_a_fit_from_scratch(place: Place) -> None:
    other = replace(FIRST, settings={**SETTINGS, "sequential.width": 8}, gate=-0.9)
    done = place.run(0.9, other)
    assert "other settings" in done.facts["from_scratch_because"]
    assert place.model(done).parts["sequential"].tensors["items"].shape[1] == 8


def test_a_viewer_who_was_deleted_is_unlearnt(place: Place) -> None:
    used = str(place.run(0.8).in_use)
    bury(place.bundles / used, frozenset([place.log.viewers.id(3)]))
    done = place.run(0.9)
    assert done.facts["from_scratch_because"] == "a viewer was deleted"
    assert place.log.viewers.id(3) not in place.model(done).log.viewers


def test_a_run_that_is_broken_off_leaves_what_was_there(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Model:
        raise MatineeError("broken off")

    before = sorted(one.name for one in place.bundles.iterdir())
    with monkeypatch.context() as patched:
        patched.setattr(recipe, "update", broken)
        with pytest.raises(MatineeError, match="broken off"):
            place.run(0.9)
    assert sorted(one.name for one in place.bundles.iterdir()) == before
    assert place.run(0.9).facts["warm"]["refreshes"] == 1


def test_an_update_of_a_network_says_how_it_was_made(place: Place) -> None:
    used = load(place.bundles / str(place.run(0.8).in_use))
    place.tell(0.85)
    warm = matinee.update(used, matinee.read_log(str(place.folder / "log.csv")))
    assert warm.facts["warm"] == {"refreshes": 1}
    assert "update" not in warm.facts
    anew = matinee.update(used, place.log)
    assert anew.facts["warm"] is None
    assert "it is known now what items are" in anew.facts["update"]


def test_a_viewer_whom_the_store_deleted_is_unlearnt(place: Place) -> None:
    url = f"sqlite:///{place.folder / 'store.db'}"
    used = str(place.run(0.8).in_use)
    gone = place.log.viewers.id(3)

    async def story() -> None:
        store = open_sqlite(place.folder / "store.db")
        try:
            await start_service([place.bundles], store)
            await store.forget(gone)
        finally:
            await store.close()

    asyncio.run(story())
    assert gone not in load(place.bundles / used).deleted
    done = place.run(0.9, replace(ALL, store=url))
    assert done.facts["from_scratch_because"] == "a viewer was deleted"
    assert gone not in place.model(done).log.viewers
    # The new one never learnt from them.
    assert place.run(0.95, replace(ALL, store=url)).facts["warm"]["refreshes"] == 1


def test_a_run_that_fitted_anew_after_all_does_not_say_that_it_went_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = recipe.update

    def anew(model: Model, log: InteractionLog, **more: object) -> Model:
        made = plain(model, log, **more)  # type: ignore[arg-type]
        return replace(made, facts={**made.facts, "warm": None, "update": "fitted anew: of a whim"})

    monkeypatch.setattr(recipe, "update", anew)
    done = place.run(0.9)
    assert done.facts["warm"] is None
    assert done.facts["from_scratch_because"] == "of a whim"
    assert place.model(done).facts["warm"] is None
