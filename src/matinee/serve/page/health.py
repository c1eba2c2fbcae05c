"""Health: how fresh, how fast, how full, and when and on what the model was trained."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from matinee.report.numbers import dollars, milliseconds, percent, seconds
from matinee.serve.asking import DEFAULT_ALIAS, Ask
from matinee.serve.monitoring import Figures
from matinee.serve.monitoring_words import OLD_DAYS, of_late
from matinee.serve.page.frame import Page, render
from matinee.serve.page.posters import shown
from matinee.serve.recheck import recall_of
from matinee.serve.service import BundleFacts

_DAY_S = 86_400.0
# Fewer requests than this have no slowest hundredth: the first answers of a start would be all of it.
_FEWEST_REQUESTS = 300
# So many viewers are looked through for one with a history.
_LOOKED_AT = 20
# Whoever looks waits so long at most for what is being counted.
_WAIT_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One figure of the screen.

    Attributes:
        name: what it is.
        value: the figure, as people read it.
        words: what it means.
        well: whether it is as it should be.
    """

    name: str
    value: str
    words: str = ""
    well: bool = True


@dataclass
class Counted:
    """What the server's own figures say, each the sum over its labels.

    Attributes:
        values: name of a figure -> its value.
        buckets: name of a histogram -> upper bound -> how many were at most that.
    """

    values: dict[str, float] = field(default_factory=dict)
    buckets: dict[str, dict[float, float]] = field(default_factory=dict)

    def quantile(self, name: str, share: float) -> float | None:
        """The bound below which this share lies; None where nothing was counted."""
        bounds = sorted(self.buckets.get(name, {}).items())
        if not bounds or not bounds[-1][1]:
            return None
        return next(bound for bound, count in bounds if count >= share * bounds[-1][1])


def routes(page: Page) -> list[Route]:
    """The health screen."""

    async def screen(_request: Request) -> Response:
        facts = page.service.bundles.facts()
        in_use = page.service.bundles.names().get(DEFAULT_ALIAS)
        used = next((one for one in facts if one.name == in_use), None)
        counted = Counted() if page.figures is None else read_figures(await page.figures())
        values = {
            "here": "health",
            "now": await _now(page, counted),
            "model": [] if used is None else model_facts(used, page.service.now_ms()),
            "since": counted_facts(counted),
            "late": late_facts(await page.service.watch.figures(_WAIT_S)),
            "used": used,
        }
        return render("health.html", values)

    return [page.get("/health", screen)]


def read_figures(text: bytes) -> Counted:
    """What Prometheus would read, summed over labels."""
    from prometheus_client.parser import text_string_to_metric_families

    found = Counted()
    for family in text_string_to_metric_families(text.decode("utf-8", "replace")):
        for sample in family.samples:
            if sample.name.endswith("_bucket"):
                bounds = found.buckets.setdefault(family.name, {})
                bound = float(sample.labels["le"])
                bounds[bound] = bounds.get(bound, 0.0) + sample.value
            elif not sample.name.endswith("_created"):
                found.values[sample.name] = found.values.get(sample.name, 0.0) + sample.value
    return found


async def _now(page: Page, counted: Counted) -> list[Fact]:
    """What is measured while one looks."""
    first = await _somebody(page)
    began = time.perf_counter()
    await page.service.answers.recommend(Ask(user=first, k=10, placement="health"))
    answer_s = time.perf_counter() - began
    began = time.perf_counter()
    await page.service.store.notes_version()
    store_s = time.perf_counter() - began
    facts = [
        Fact(
            name="freshness",
            value="next answer",
            words="Histories are read from the store for every answer: what is acknowledged counts at once.",
        ),
        Fact(
            name="one answer",
            value=milliseconds(answer_s * 1000),
            words=f"Measured just now, for {'a newcomer' if first is None else shown(first)}.",
            well=answer_s < 0.1,
        ),
        Fact(
            name="the store",
            value=milliseconds(store_s * 1000) if store_s >= 1e-5 else "< 0.01 ms",
            words="Measured just now: one read.",
            well=store_s < 0.1,
        ),
    ]
    late = counted.quantile("matinee_request_seconds", 0.99)
    if late is not None:
        facts.append(latency_fact(late, counted.values.get("matinee_request_seconds_count", 0.0)))
    return facts


async def _somebody(page: Page) -> str | None:
    """The first viewer with a history: who has none is answered sooner than people usually are."""
    for one in await page.service.store.viewers("", _LOOKED_AT):
        if await page.service.store.history(one.id, 1):
            return one.id
    return None


def latency_fact(late: float, requests: float) -> Fact:
    """What 99 of 100 requests took at most, in seconds; worth a look only where there were enough."""
    words = "Since the start: 99 of 100 requests took at most this."
    few = requests < _FEWEST_REQUESTS
    if few:
        words += f" Of {requests:,.0f} requests: too few to judge by."
    return Fact(name="latency, p99", value=milliseconds(late * 1000), words=words, well=few or late <= 0.25)


def model_facts(used: BundleFacts, now_ms: int) -> list[Fact]:
    """The model's age, what it was trained on, and what a retrain costs."""
    facts: Mapping[str, Any] = used.facts
    days = _days_since(used.created, now_ms)
    cost_s, wall_s = facts.get("all_cpu_s"), facts.get("all_wall_s")
    found = [
        Fact(
            name="the model's age",
            value="unknown" if days is None else _age(days),
            words=f"Fitted on {_day(used.created)}; `matinee refresh` does it daily.",
            well=days is None or days < OLD_DAYS,
        ),
        Fact(
            name="trained on",
            value=f"{used.events:,} events",
            words=f"Of {used.viewers:,} viewers and {used.items:,} items.",
        ),
        Fact(name="recommender", value=used.recommender, words=f"In the bundle called {used.name}."),
    ]
    if isinstance(cost_s, int | float):
        words = f"{seconds(cost_s)} of processor time"
        words += f" in {seconds(wall_s)}" if isinstance(wall_s, int | float) else ""
        spent = facts.get("all_dollars")
        known = isinstance(spent, int | float)
        words += ", choosing included." if facts.get("chosen_by") else "."
        found.append(
            Fact(name="a retrain costs", value=dollars(spent) if known else seconds(cost_s), words=words)
        )
    return found


def late_facts(found: Figures | None) -> list[Fact]:
    """What happened lately: events since the fit, shares, coverage, drift."""
    if found is None:
        return [Fact(name="the last weeks", value="–", words="Being counted: look again in a moment.")]
    words = "Since the model in use was fitted; `matinee refresh` takes them in."
    rows = [Fact(**one) for one in of_late(found)]
    return [Fact(name="new events", value=f"{found.new_events:,}", words=words), *rows]


def counted_facts(counted: Counted) -> list[Fact]:
    """What was counted since the start, over all processes."""
    values = counted.values
    answers, fallbacks = values.get("matinee_answers_total"), values.get("matinee_fallbacks_total", 0.0)
    facts = []
    if answers:
        facts.append(Fact(name="answers", value=f"{answers:,.0f}", words="Since the start, all processes."))
        words = "Answers with what is popular, since nothing personal could be said."
        facts.append(Fact(name="fallbacks", value=percent(fallbacks / answers), words=words))
    if "matinee_events_total" in values:
        words = "New ones since the start, durable before they were acknowledged."
        facts.append(Fact(name="events", value=f"{values['matinee_events_total']:,.0f}", words=words))
    if values.get("matinee_resident_bytes"):
        many = values.get("matinee_processes", 1)
        words = f"Of {many:.0f} {'process' if many == 1 else 'processes'}."
        facts.append(
            Fact(name="memory", value=f"{values['matinee_resident_bytes'] / 2**20:,.0f} MB", words=words)
        )
    recall = recall_of(values)
    if recall is not None:
        checked, _, share = recall
        words = (
            f"Of the best 100 items, so many are found by the index, by {checked:,} answers checked exactly."
        )
        facts.append(Fact(name="recall@100", value=percent(share), words=words, well=share >= 0.95))
    for name, value in sorted(values.items()):
        if name.startswith("matinee_store_bytes"):
            facts.append(Fact(name="store", value=f"{value / 2**20:,.0f} MB", words="On disk."))
    return facts


def _days_since(created: str, now_ms: int) -> float | None:
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (now_ms / 1000 - moment.timestamp()) / _DAY_S)


def _age(days: float) -> str:
    if days >= 2:
        return f"{days:.0f} days"
    return f"{24 * days:.0f} hours" if days >= 2 / 24 else f"{1440 * days:.0f} min"


def _day(created: str) -> str:
    try:
        return datetime.fromisoformat(created).strftime("%-d %B %Y")
    except ValueError:
        return "a day nobody wrote down"
