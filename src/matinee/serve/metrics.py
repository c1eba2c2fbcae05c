"""Figures for Prometheus, summed over all processes of a server; no viewer and no item is named in them.

Each process counts in files of its own, in a folder that the server made (PROMETHEUS_MULTIPROC_DIR, as
prometheus_client wants it); whoever is asked adds them all up. Without one a process tells of itself alone.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from matinee.serve.asking import Answer, Ask
from matinee.serve.recheck import Rechecks
from matinee.serve.records import Event, Impression
from matinee.serve.service import Answers, Service
from matinee.serve.store import Store

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_LATENCY_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# Placements are the callers' own words: from this many on, a new one is counted as "other".
_MOST_WORDS = 50
_LONGEST_WORD = 64


class Metrics:
    """What one process counts."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._shared = FOLDER_VARIABLE in os.environ
        own = CollectorRegistry()
        self._registry = own
        made: dict[str, Any] = {"registry": own}
        self.requests = Counter(
            "matinee_requests", "Requests.", ("face", "route", "method", "status"), **made
        )
        self.seconds = Histogram(
            "matinee_request_seconds", "Time to answer.", ("face", "route"), buckets=_LATENCY_S, **made
        )
        self.answers = Counter("matinee_answers", "Answers.", ("source", "bundle", "placement"), **made)
        self.fallbacks = Counter(
            "matinee_fallbacks", "Answers that were not personal though one was asked.", ("bundle",), **made
        )
        self.events = Counter("matinee_events", "Events and impressions that were new and are kept.", **made)
        self.sent_again = Counter("matinee_events_sent_again", "Events and impressions known before.", **made)
        self.store_add = Histogram(
            "matinee_store_add_seconds", "Time until events are durable.", buckets=_LATENCY_S, **made
        )
        self.rechecked = Counter("matinee_rechecked_answers", "Answers by an index checked exactly.", **made)
        self.recall_10 = Counter(
            "matinee_rechecked_recall_10", "Their shares of the 10 best, summed.", **made
        )
        self.recall_100 = Counter("matinee_rechecked_recall_100", "Shares of the 100 best, summed.", **made)
        one_of = {"multiprocess_mode": "max", **made}
        each = {"multiprocess_mode": "livesum", **made}
        self.store_read = Gauge("matinee_store_read_seconds", "Time to ask the store a number.", **one_of)
        self.bundle_age = Gauge(
            "matinee_bundle_age_seconds", "Since the bundle in use was fitted.", ("alias",), **one_of
        )
        self.memory = Gauge("matinee_resident_bytes", "Memory of all processes.", **each)
        self.connections = Gauge("matinee_connections", "Open connections.", **each)
        self.processes = Gauge("matinee_processes", "Processes that answer.", **each)
        self.cpu = Counter("matinee_cpu_seconds", "User and system time of all processes.", **made)
        self._cpu_told = 0.0
        self._words: set[str] = set()
        self._created: dict[str, str] = {}

    def word(self, given: str) -> str:
        """A caller's word as a label, of which there are a few only."""
        if given in self._words or not given:
            return given
        if len(self._words) >= _MOST_WORDS or len(given) > _LONGEST_WORD:
            return "other"
        self._words.add(given)
        return given

    async def text(self) -> bytes:
        """What Prometheus reads."""
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        if not self._shared:
            return bytes(generate_latest(self._registry))
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]
        return bytes(generate_latest(everybody))

    async def look(self, service: Service, connections: int) -> None:
        """Note what is not counted but measured: memory, time on the processor, ages."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        self.cpu.inc(max(0.0, used.ru_utime + used.ru_stime - self._cpu_told))
        self._cpu_told = used.ru_utime + used.ru_stime
        self.memory.set(_resident_bytes())
        self.connections.set(connections)
        self.processes.set(1)
        began = time.perf_counter()
        await service.store.notes_version()
        self.store_read.set(time.perf_counter() - began)
        rechecks: Rechecks | None = getattr(service.answers, "rechecks", None)
        if rechecks is not None:
            news = rechecks.news()
            self.rechecked.inc(news.answers)
            self.recall_10.inc(news.of_10)
            self.recall_100.inc(news.of_100)
        names = service.bundles.names()
        if not set(names.values()) <= self._created.keys():
            self._created = {facts.name: facts.created for facts in service.bundles.facts()}
        for alias, name in names.items():
            if name in self._created:
                self.bundle_age.labels(self.word(alias)).set(_age_s(self._created[name]))


def counted(service: Service, metrics: Metrics) -> tuple[Answers, Store]:
    """The answers and the store of a service, with a count of what goes through them."""
    answers = cast(Answers, CountedAnswers(service.answers, metrics))
    return answers, cast(Store, CountedStore(service.store, metrics))


class CountedAnswers:
    """Answers, counted by where they came from; everything else is passed on."""

    def __init__(self, inner: Answers, metrics: Metrics) -> None:
        self._inner, self._metrics = inner, metrics
        self._children: dict[tuple[str, str, str], Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def recommend(self, ask: Ask) -> Answer:
        """As of Answers."""
        return self._count(ask, await self._inner.recommend(ask))

    async def similar(self, item: str, ask: Ask) -> Answer:
        """As of Answers."""
        return self._count(ask, await self._inner.similar(item, ask))

    async def rank(self, items: Sequence[str], ask: Ask) -> Answer:
        """As of Answers."""
        return self._count(ask, await self._inner.rank(items, ask))

    async def popular(self, ask: Ask) -> Answer:
        """As of Answers."""
        return self._count(ask, await self._inner.popular(ask))

    async def latest(self, ask: Ask) -> Answer:
        """As of Answers."""
        return self._count(ask, await self._inner.latest(ask))

    def _count(self, ask: Ask, answer: Answer) -> Answer:
        metrics = self._metrics
        words = answer.source, answer.bundle, metrics.word(ask.placement)
        child = self._children.get(words)
        if child is None:
            child = self._children[words] = metrics.answers.labels(*words)
        child.inc()
        if answer.source.startswith("fallback:"):
            metrics.fallbacks.labels(answer.bundle).inc()
        return answer


class CountedStore:
    """A store that counts what it takes in; everything else it passes on."""

    def __init__(self, inner: Store, metrics: Metrics) -> None:
        self._inner, self._metrics = inner, metrics

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def add(
        self, events: Sequence[Event], impressions: Sequence[Impression] = (), *, imported: bool = False
    ) -> int:
        """As of Store."""
        began = time.perf_counter()
        new = await self._inner.add(events, impressions, imported=imported)
        if imported:
            return new
        self._metrics.store_add.observe(time.perf_counter() - began)
        self._metrics.events.inc(new)
        self._metrics.sent_again.inc(max(0, len(events) + len(impressions) - new))
        return new


def forget_process(folder: Path, pid: int) -> None:
    """Take what a process that has ended said of its present out of the sums; what it counted stays."""
    for path in folder.glob(f"gauge_live*_{pid}.db"):
        path.unlink(missing_ok=True)


def _age_s(created: str) -> float:
    try:
        return max(0.0, time.time() - datetime.fromisoformat(created).timestamp())
    except ValueError:
        return 0.0


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()
