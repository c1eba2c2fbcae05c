import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from matinee.core.errors import DataError, InputError
from matinee.core.promise import Needs
from matinee.data.option_words import log_options
from matinee.data.options import LogOptions
from matinee.data.read import read_log
from matinee.data.split import split_log
from matinee.recipes import check as recipe
from matinee.recipes.check import CheckReport, check, check_files
from matinee.recipes.rows import predicts_values
from matinee.recommenders import RECOMMENDERS

DATA = Path(os.environ.get("MATINEE_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
START_S = 1_700_000_000


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_CACHE", str(tmp_path / "cache"))


def written(folder: Path, rows: Sequence[object], header: str = "user,item,time,kind") -> Path:
    path = folder / "log.csv"
    path.write_text("\n".join([header, *(str(row) for row in rows)]) + "\n", encoding="utf-8")
    return path


def checked(path: Path, **options: object) -> CheckReport:
    return check_files([path], log_options(options))


def names(report: CheckReport) -> list[str]:
    return [sign.name for sign in report.signs]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Five kinds, a bot, viewers who merged, noes, duplicates, repeats and a clock that is ahead."""
    random = np.random.default_rng(0)
    rows = []
    for viewer in range(40):
        now = START_S + viewer * 1000
        for _ in range(12):
            item = int(random.integers(30))
            for kind in ("view", "cart", "purchase")[: 1 + int(random.integers(3))]:
                now += 60
                rows.append(f"v{viewer},i{item},{now},{kind}")
            now += 86_400
    rows += [f"v1,i3,{START_S + 5},dislike", f"v1,i4,{START_S + 6},return", rows[0]]
    rows += [f"bot,i{i % 30},{START_S + i},view" for i in range(4000)]
    rows += ["v2,i1,4102444800,view"]  # the year 2100
    rows += [f"v39-old,i{i},{START_S + i},view" for i in range(3)]
    return written(tmp_path, rows)


def test_a_messy_shop_log(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "aliases.csv").write_text("old,new\nv39-old,v39\n")
    report = checked(
        shop,
        target="purchase",
        weight="view=.1,cart=.5",
        negative="dislike,return",
        aliases=str(tmp_path / "aliases.csv"),
        session_gap="30min",
    )
    assert report.log["files"][0]["columns"] == {
        "user": "user",
        "item": "item",
        "time": "time",
        "kind": "kind",
    }
    assert report.counts.viewers == 41
    assert report.counts.negatives == 2
    assert set(report.counts.kinds) == {"view", "cart", "purchase"}
    assert report.counts.targets == report.counts.kinds["purchase"] < report.counts.events
    assert report.default_protocol == "time-split"
    # Folded into one session the bot has thirty events, and is no louder than others.
    assert {"future", "too_few_targets"} <= set(names(report))
    assert not {"suspected_bots", "kinds_alike"} & set(names(report))
    assert report.counts.most_events < 100
    notes = " ".join(report.notes)
    assert "1 viewer of the log goes by another id" in notes
    assert "and folded into the first" in notes


def test_the_same_log_without_a_word_from_its_owner(shop: Path) -> None:
    report = checked(shop)
    assert report.counts.viewers == 42
    assert set(report.counts.kinds) == {"view", "cart", "purchase", "dislike", "return"}
    assert report.log["duplicates"] == 1
    assert report.counts.most_events == 4000
    assert {"kinds_alike", "suspected_bots", "repeats"} <= set(names(report))
    bots = next(sign for sign in report.signs if sign.name == "suspected_bots")
    assert (bots.number, bots.examples) == (1, ("bot",))


def test_a_clean_log_has_no_sign_but_its_size(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    rows = []
    for viewer in range(30):
        for place, item in enumerate(random.permutation(40)[:10]):
            rows.append(f"v{viewer},i{item},{START_S + 86_400 * place + viewer}")
    report = checked(written(tmp_path, rows, "user,item,time"))
    assert names(report) == ["too_few_targets"]
    assert report.tied_times == 0.0
    assert report.counts.kinds == {}
    assert report.span_ms == (START_S * 1000, (START_S + 86_400 * 9 + 29) * 1000)


def test_enough_viewers_are_enough(tmp_path: Path) -> None:
    rows = [f"v{viewer},i{(viewer * 7 + place) % 50}" for viewer in range(2100) for place in range(4)]
    report = checked(written(tmp_path, rows, "user,item"))
    assert report.default_protocol == "random-holdout"
    assert report.protocols[0].name == "random-holdout"
    assert report.protocols[0].enough
    assert "too_few_targets" not in names(report)
    by_name = {one.name: one for one in report.protocols}
    assert not by_name["leave-one-out"].supported
    assert "needs an order" in by_name["leave-one-out"].words
    assert not by_name["time-split"].supported
    assert "--test FILE" in by_name["given"].words


def test_a_large_log_is_tried_on_some_viewers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"v{viewer},i{(viewer * 7 + place) % 50},{place}" for viewer in range(400) for place in range(5)]
    log = read_log(written(tmp_path, rows, "user,item,order"))
    whole = recipe.check_protocols(log, "leave-one-out")
    monkeypatch.setattr(recipe, "_TRIED_EVENTS", 500)
    some = recipe.check_protocols(log, "leave-one-out")
    assert [one.name for one in some] == [one.name for one in whole]
    assert (whole[0].targets, some[0].targets) == (400, 400)
    assert (whole[0].estimated, some[0].estimated) == (False, True)


def test_a_large_log_has_the_moment_of_all_its_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Every second viewer came years before the others.
    rows = [
        f"v{viewer:03},i{(viewer * 7 + place) % 50},{START_S + (viewer % 2) * 10**8 + 86_400 * place}"
        for viewer in range(400)
        for place in range(5)
    ]
    log = read_log(written(tmp_path, rows, "user,item,time"))
    (whole, *_), words = recipe.check_protocols(log, "time-split"), split_log(log).division.words
    monkeypatch.setattr(recipe, "_TRIED_EVENTS", 1000)
    report = check(log)
    assert report.protocols[0].estimated
    assert report.protocols[0].words == whole.words == words
    (sign,) = (one for one in report.signs if one.name == "too_few_targets")
    assert f"gives about {report.protocols[0].targets:,} targets of about" in sign.words


def test_every_recommender_says_what_it_needs(tmp_path: Path) -> None:
    rows = [f"v{viewer},i{place},{place}" for viewer in range(5) for place in range(4)]
    report = checked(written(tmp_path, rows, "user,item,order"))
    assert {one.name for one in report.needs} == {name for name in RECOMMENDERS if not predicts_values(name)}
    known = [one for one in report.needs if one.memory_bytes is not None and one.cpu_s is not None]
    assert [one.name for one in report.needs if one.memory_bytes is None] == ["friends"]
    assert known
    assert all(one.memory_bytes >= 0 and one.cpu_s >= 0 for one in known)  # type: ignore[operator]
    seconds = [one.cpu_s for one in known]
    assert seconds == sorted(seconds)  # type: ignore[type-var]


class Greedy:
    def needs(self, log: object) -> Needs:
        return Needs(memory_bytes=2**60, cpu_s=9.0)


class Unable:
    def needs(self, log: object) -> Needs:
        raise InputError("Needs what this log lacks.")


def test_what_does_not_fit_or_cannot_be_fitted_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "RECOMMENDERS", {"unable": Unable, "greedy": Greedy})
    monkeypatch.setattr(recipe, "available_bytes", lambda: 2**30)
    report = checked(written(tmp_path, ["a,x,1", "a,y,2"], "user,item,order"))
    greedy, unable = report.needs
    assert (greedy.name, greedy.fits, greedy.memory_bytes) == ("greedy", False, 2**60)
    assert (unable.name, unable.fits, unable.words) == ("unable", False, "Needs what this log lacks.")


@pytest.mark.parametrize(
    ("rows", "header", "sentence"),
    [
        (["a,x,1700000000", "a,y,soon"], "user,item,time", r"log\.csv, row 3, column 'time'.*'soon'"),
        ([], "user,item,time", "event"),
        (["1,2"], "colour,size", "no column was recognised"),
    ],
)
def test_an_unusable_log_is_one_sentence(tmp_path: Path, rows: list[str], header: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        checked(written(tmp_path, rows, header))
    assert "\n" not in str(caught.value)


def test_a_log_of_noes_alone_is_unusable(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--negative names every kind"):
        checked(written(tmp_path, [f"a,x,{START_S},skip", f"a,y,{START_S},skip"]), negative="skip")


def test_one_event_is_a_log_that_nothing_can_be_judged_on(tmp_path: Path) -> None:
    report = checked(written(tmp_path, [f"a,x,{START_S}"], "user,item,time"))
    assert report.counts.events == 1
    assert "too_few_targets" in names(report)
    assert not any(one.supported for one in report.protocols if one.name != "given")


def test_ratings_to_be_predicted_are_not_called_too_few_to_rank(tmp_path: Path) -> None:
    rows = [f"v{viewer},i{place},{place + 1}" for viewer in range(5) for place in range(4)]
    report = checked(written(tmp_path, rows, "user,item,rating"), target="rating")
    assert not {"too_few_targets", "low_values"} & set(names(report))
    assert "low_values" in names(checked(written(tmp_path, rows, "user,item,rating")))


def test_bad_rows_that_are_left_out_are_told(tmp_path: Path) -> None:
    path = written(tmp_path, [f"a,x,{START_S}", "a,y,soon", f"a,z,{START_S + 5}"], "user,item,time")
    report = checked(path, skip_bad=True)
    assert report.counts.events == 2
    assert report.log["bad_rows"] == 1
    assert "row 3" in " ".join(report.notes)


def test_the_json_is_plain_and_the_same_again(shop: Path) -> None:
    first, second = (checked(shop).to_json() for _ in range(2))
    for report in (first, second):
        report.pop("machine")
        report["log"].pop("cached")
    assert json.loads(json.dumps(first)) == json.loads(json.dumps(second))


def test_a_table_in_memory_can_be_checked() -> None:
    import pyarrow as pa

    table = pa.table(
        {"user": ["a", "a", "b"], "item": ["x", "y", "x"], "time": [START_S, START_S + 1, START_S + 2]}
    )
    assert check(read_log(table), LogOptions()).counts.events == 3


def test_ml_100k() -> None:
    folder = DATA / "ml-100k"
    if not folder.exists():
        pytest.skip(f"{folder} is absent")
    report = check_files(
        [folder / "u.data"], LogOptions(items=str(folder / "u.item"), viewers=str(folder / "u.user"))
    )
    counts = report.counts
    assert (counts.viewers, counts.items, counts.events, counts.values) == (943, 1682, 100_000, (1.0, 5.0))
    assert report.default_protocol == "time-split"
    assert {"low_values", "tied_times", "too_few_targets"} <= set(names(report))
    assert report.beside[0].startswith("items: 1,682 of 1,682 with a title")


def test_lastfm_with_friends() -> None:
    folder = DATA / "lastfm"
    if not folder.exists():
        pytest.skip(f"{folder} is absent")
    options = LogOptions(items=str(folder / "artists.dat"), friends=str(folder / "user_friends.dat"))
    report = check_files([folder / "user_artists.dat"], options)
    assert (report.counts.viewers, report.counts.items, report.counts.events) == (1892, 17632, 92834)
    assert report.default_protocol == "random-holdout"
    assert "friends: 1,892 of 1,892 viewers, 12,717 pairs" in report.beside
