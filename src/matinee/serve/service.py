"""What the faces share: one service that is asked, told and looked at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from matinee.core.types import Int32
from matinee.serve.asking import DEFAULT_ALIAS, Answer, Ask
from matinee.serve.records import ItemRecord
from matinee.serve.store import Store

if TYPE_CHECKING:
    from matinee.serve.ab import Result, ShadowResult
    from matinee.serve.monitoring import Figures


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleFacts:
    """A bundle that can be asked.

    Attributes:
        name: its folder's name.
        aliases: the names under which it is in use.
        recommender: what it is.
        fingerprint: what tells it from every other.
        created: when it was fitted (ISO, UTC).
        items, viewers, events: what it was fitted on.
        facts: what its manifest says of the fit: split, metrics, cost.
    """

    name: str
    aliases: tuple[str, ...]
    recommender: str
    fingerprint: str
    created: str
    items: int
    viewers: int
    events: int
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalogue:
    """The items that a bundle knows, and what the store says of items, which goes before it.

    Attributes:
        table: one row an item of the bundle, as in `InteractionLog.item_table`: `id`, and what is known.
        rows: the rows of some ids in it, -1 where it has none.
        records: what the store says of items, by id, the deleted included.
        version: equal as long as nothing of this has changed.
    """

    table: pa.Table
    rows: Callable[[Sequence[str]], Int32]
    records: Mapping[str, ItemRecord]
    version: Hashable


class Answers(Protocol):
    """Everything that can be asked. `matinee.serve.engine.Engine` keeps it.

    Raises, everywhere:
        NotFound: no bundle has the alias.
        Refusal: the ask contradicts itself.
    """

    async def recommend(self, ask: Ask) -> Answer:
        """A personal answer; what is popular where nothing personal can be said."""

    async def similar(self, item: str, ask: Ask) -> Answer:
        """Items like an item.

        Raises:
            NotFound: neither a bundle nor the store knows the item.
        """

    async def rank(self, items: Sequence[str], ask: Ask) -> Answer:
        """A list put into the order of a viewer's liking; those that no bundle knows come last, unscored."""

    async def popular(self, ask: Ask) -> Answer:
        """What most viewers chose of late, by the store; the bundle's popularity where that is too little."""

    async def latest(self, ask: Ask) -> Answer:
        """The newest items."""

    async def neighbours(self, user: str, most: int) -> list[tuple[str, float]]:
        """Viewers with the nearest taste, and how near (Gorse's user-to-user); empty if unknown."""

    async def catalogue(self, alias: str = DEFAULT_ALIAS) -> Catalogue:
        """What is known of items, by the bundle behind an alias and the store: for filters and metadata."""


class Bundles(Protocol):
    """The bundles of a server. `matinee.serve.bundle_shelf.BundleShelf` keeps it."""

    def facts(self) -> list[BundleFacts]:
        """Every bundle that can be asked or activated, the newest first."""

    def names(self) -> Mapping[str, str]:
        """The bundle's name behind each alias."""

    async def trained_with(self, users: Sequence[str]) -> list[str]:
        """Names of the bundles that still hold what any of some viewers did, until the next fit."""

    async def check(self, name: str) -> None:
        """See that a bundle is there and can be read.

        Raises:
            NotFound: there is no such bundle.
            Refusal: it cannot be read.
        """

    async def caught_up(self) -> None:
        """Do what the store's notes say of aliases and experiments, and return when it is done here."""

    async def activate(self, name: str, alias: str = DEFAULT_ALIAS) -> BundleFacts:
        """Put a bundle behind an alias, in every process; returns when this one answers from it.

        Raises:
            NotFound: there is no such bundle.
            Refusal: it cannot be read; what was in use stays in use.
        """

    async def rollback(self, alias: str = DEFAULT_ALIAS) -> BundleFacts:
        """Put back what an alias had before.

        Raises:
            Conflict: it had nothing before.
        """


class Watch(Protocol):
    """What a server finds out about itself. `matinee.serve.self_watch.SelfWatch` keeps it.

    It is reckoned now and then and beside the answers. Who cannot wait says how long, in seconds, and is told
    what was found last, or None where nothing was found yet.
    """

    async def experiments(self, wait_s: float | None = None) -> list[Result] | None:
        """What every experiment says, at most a minute old; those that are over included."""

    def shadows(self) -> Mapping[str, ShadowResult]:
        """How far the shadows of this process differ from what was shown, by bundle."""

    async def figures(self, wait_s: float | None = None) -> Figures | None:
        """What is worth looking at of the last days, some minutes old."""

    async def close(self) -> None:
        """Reckon no more."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What comes in at most, and how long it may take.

    Attributes:
        body_bytes: of one request.
        events: of one request.
        history: events of a history that an answer looks at.
        header_s: seconds until a request's header must be there.
        body_s: seconds until its body must be there.
        idle_s: seconds that an open connection may wait for its next request.
        connections: open ones at once, of one process.
        drain_s: seconds in which open requests end after SIGTERM.
    """

    body_bytes: int = 4 * 2**20
    events: int = 1000
    history: int = 200
    header_s: float = 5.0
    body_s: float = 10.0
    idle_s: float = 60.0
    connections: int = 1024
    drain_s: float = 20.0


async def _ready() -> str:
    return "ready"


@dataclass(frozen=True, kw_only=True)
class Service:
    """What a face is made of.

    Attributes:
        answers: what is asked.
        bundles: what answers.
        store: what is told.
        watch: what it finds out about itself.
        limits: what comes in at most.
        now_ms: the clock, milliseconds since 1970, UTC.
        kinds_seen: event kinds that count as clicks where click-through is told; empty: all.
        status: what it says of itself while nothing speaks against asking it.
        study: the folder of a search for settings that the page shows; None: none.
    """

    answers: Answers
    bundles: Bundles
    store: Store
    watch: Watch
    limits: Limits
    now_ms: Callable[[], int]
    kinds_seen: tuple[str, ...] = ()
    status: Callable[[], Awaitable[str]] = _ready
    study: Path | None = None
