from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tests.cli.typed import typed
from tests.recipes.daily import Days, begin

from matinee.serve.recommendation_id import Told, make
from matinee.serve.records import Event, Impression
from matinee.serve.store import Store, secret_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Days:
    days = begin(tmp_path_factory.mktemp("days"))
    days.hear(0.8, 0.9)
    return days


@pytest.fixture
def days(made: Days, tmp_path: Path) -> Days:
    shutil.copytree(made.folder, tmp_path / "days")
    return Days(folder=tmp_path / "days", log=made.log, first=made.first)


def run(days: Days, *words: str) -> tuple[int, str, str]:
    done = typed(*words, cwd=days.folder)
    return done.returncode, done.stdout, done.stderr


def told(days: Days, *words: str) -> dict[str, Any]:
    status, out, error = run(days, *words, "--json", "-", "--quiet")
    assert status == 0, error
    facts: dict[str, Any] = json.loads(out)
    return facts


def test_a_day_from_refresh_to_rollback(days: Days) -> None:
    status, _, error = run(days, "refresh", "sqlite:///store.db", "-o", "bundles", "--gate", "0.9")
    assert status == 3
    assert error == "matinee: The gate refused: first stays in use.\n"
    words = ("-o", "bundles", "--json", "day.json", "--from-scratch")
    status, out, error = run(days, "refresh", "sqlite:///store.db", *words)
    assert (status, error) == (0, "")
    assert "Fitted from scratch: it was asked for.\n" in out
    facts = json.loads((days.folder / "day.json").read_text())
    assert facts["state"] == "activated"
    assert facts["judged"]["difference"].keys() == {"mean", "low", "high"}
    assert "instead of first; a running server takes it up by itself" in out
    status, out, _ = run(days, "refresh", "sqlite:///store.db", "-o", "bundles")
    assert status == 0
    assert out.startswith("Nothing new")
    back = told(days, "rollback", "bundles", "--store", "sqlite:///store.db")
    assert (back["bundle"], back["before"]) == ("first", facts["in_use"])
    on = told(days, "activate", "bundles", facts["in_use"])
    assert on["store"] is False
    assert run(days, "activate", "bundles", "none")[0] == 2
    assert run(days, "rollback", "bundles", "--alias", "other")[0] == 2
    assert run(days, "refresh", "sqlite:///none.db", "-o", "bundles")[0] == 2


def test_fit_from_a_store(days: Days) -> None:
    words = ("--recommender", "popularity", "-o", "fitted")
    facts = told(days, "fit", "--from-store", "sqlite:///store.db", *words)
    assert facts["events"] == int(0.9 * len(days.log))
    assert facts["from_store"]
    assert run(days, "fit", *words)[0] == 2
    assert run(days, "fit", "log.csv", "--from-store", "sqlite:///store.db", *words)[0] == 2


def test_the_report_tells_names_nobody_and_needs_nothing(days: Days) -> None:
    silent = told(days, "report", "sqlite:///store.db", "-o", "silent.html")
    assert silent["all"] is None
    assert any("there is no click-through" in line for line in silent["unknown"])
    days.do(_answers(days))
    facts = told(
        days, "report", "sqlite:///store.db", "--bundles", "bundles", "-o", "r.html", "--days", "9999"
    )
    assert facts["all"]["shown"] == 200
    assert facts["all"]["clicked"] == 50
    assert facts["clicks"] == 50
    page = (days.folder / "r.html").read_text(encoding="utf-8")
    assert "Of 100 times that recommendations were shown, 25 were followed" in page
    seen = _Page()
    seen.feed(page)
    assert {"script", "link", "img", "iframe", "b2"} & seen.tags == set()
    assert "default-src 'none'" in page
    assert "<hostile>" not in page
    assert "&lt;hostile&gt;" in page
    for user in days.log.viewers.arrow.to_pylist():
        assert user not in seen.words
        assert user not in json.dumps(facts)
    assert run(days, "report", "sqlite:///none.db")[0] == 2


def _answers(days: Days) -> Any:
    async def story(store: Store) -> None:
        key = secret_of({"secret": str(await store.note("secret"))})
        events, impressions = [], []
        for number in range(200):
            user, time_ms = days.log.viewers.id(number % 40), 1_795_000_000_000 + number
            told = Told(placement="<hostile>" if number % 2 else "home", source="blend", time_ms=time_ms)
            id_ = make(key, told)
            impressions.append(Impression(user=user, items=("i001",), time_ms=time_ms, recommendation_id=id_))
            if number % 40 < 10:
                events.append(
                    Event(user=user, item="i001", kind="watch", time_ms=time_ms, recommendation_id=id_)
                )
        await store.add(events, impressions)

    return story


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        assert not any(name.startswith("on") or name in ("src", "href") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.words += data.split()
