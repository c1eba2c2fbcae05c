"""What recommendations bring and cost, as one page for whoever pays for them: no network, no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matinee.report.charts import Dot, dot_charts
from matinee.report.frame import framed

_MOST_WEEKS = 13
_MOST_ROWS = 8
_SHORT = "percent followed, with 95 % interval"


def business_page(told: Mapping[str, Any]) -> str:
    """The page of a report.

    Args:
        told: the JSON of `report`; every word in it is escaped.
    """
    both = [one for one in (told["personal"], told["for_all"]) if one]
    # Only numbers and text that their writer has escaped go in as markup.
    values = {
        "told": told,
        "weeks": _chart(told["weeks"][-_MOST_WEEKS:], "percent of answers followed, by week (its Monday)"),
        "kinds": _chart(both, "percent of answers followed", strong=0),
        "sources": _chart(_largest(told["sources"]), "percent of answers followed, by what ranked them"),
        "placements": _chart(
            _largest(told["placements"]), "percent of answers followed, by where they stood"
        ),
    }
    return framed("business.html", values)


def _chart(rates: Sequence[Mapping[str, Any]], title: str, strong: int | None = None) -> str:
    """Dots of shares in percent: markup; empty where there is nothing to draw."""
    dots = [
        Dot(
            label=rate["name"] or "(not said)",
            mean=100 * rate["rate"]["mean"],
            low=100 * rate["rate"]["low"],
            high=100 * rate["rate"]["high"],
            strong=place == strong,
        )
        for place, rate in enumerate(rates)
    ]
    return dot_charts(dots, f"{title}, with 95 % interval", short=_SHORT, digits=1)


def _largest(rates: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(rates, key=lambda rate: -rate["shown"])[:_MOST_ROWS]
