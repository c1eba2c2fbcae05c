"""What a made-up log shall be like."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from matinee.core.errors import SettingsError

DAY_MS = 86_400_000
START_MS = 1_672_531_200_000  # 2023-01-01, 00:00 UTC
SPAN_MS = 730 * DAY_MS
MINUTE_MS = 60_000
MONTH_MS = SPAN_MS // 24
SEEN_SHARE = 0.4  # nobody watches more of the catalogue than this
BLOCK_CELLS = 2**26  # viewers of a block x items: the one thing of that size, one byte each


@dataclass(frozen=True, kw_only=True)
class SimulationOptions:
    """Sizes and the dial of a made-up log; the defaults are a small streaming service.

    Attributes:
        viewers: number of viewers, each with at least one event.
        items: size of the catalogue.
        events: number of events, met exactly.
        predictability: the dial, from 0 (everybody draws from one and the same popularity) to 1 (the next
            item always follows on from the last ones).
        regions: number of regions that differ in what is popular.
        region_difference: how much more they differ, from 0 (in nothing else) to 1: the share of the titles
            after which each region goes on to titles of its own.
        seed: the same seed gives the same bytes.
    """

    viewers: int = 2_000
    items: int = 500
    events: int = 60_000
    predictability: float = 0.5
    regions: int = 3
    region_difference: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated.

        Raises:
            SettingsError: a size or the dial is out of its range, or the events do not fit.
        """
        for name, least in (("viewers", 1), ("items", 20), ("regions", 1)):
            if getattr(self, name) < least:
                raise SettingsError(f"{name} must be at least {least}, found {getattr(self, name)}.")
        for name in ("predictability", "region_difference"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(
                    f"{name.replace('_', ' ')} must be between 0 and 1, found {getattr(self, name)}."
                )
        if self.events < self.viewers:
            raise SettingsError(
                f"{self.viewers} viewers need at least as many events, found {self.events}: "
                "ask for more events or for fewer viewers."
            )
        most = self.viewers * self.most_events
        if self.events > most // 2:
            raise SettingsError(
                f"{self.events} events are too many for {self.viewers} viewers and {self.items} items, since "
                f"nobody watches an item twice: ask for at most {most // 2}, or for more of the others."
            )

    @property
    def most_events(self) -> int:
        """The most events that one viewer can have."""
        return int(SEEN_SHARE * self.items)

    @property
    def block(self) -> int:
        """Viewers of one block: it depends on the catalogue alone, never on the machine."""
        return min(8_192, max(64, BLOCK_CELLS // self.items))

    @property
    def certainty(self) -> float:
        """The chance of both coins, following on and own taste: it lies above the dial between 0 and 1.

        The power makes the best-possible recall@10 come out near the dial, or somewhat above it.
        """
        return float(self.predictability**0.75)

    @property
    def strength(self) -> float:
        """How far tastes of regions, hot releases and the like are turned up: 0 at dial 0, 1 at dial 1."""
        return float(self.predictability**0.5)

    def to_json(self) -> dict[str, Any]:
        """Every option, plain values."""
        return asdict(self)
