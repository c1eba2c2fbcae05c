"""What recommendations bring and cost, as one page for whoever pays for them: no network, no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matinee.report import numbers
from matinee.report.charts import Dot, dot_chart

_MOST_WEEKS = 13
_MOST_ROWS = 8


def business_page(told: Mapping[str, Any]) -> str:
    """The page of a report.

    Args:
        told: the JSON of `report`; every word in it is escaped.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("matinee.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("business.html")
    # Only numbers and text that their writer has escaped go in as markup.
    page: str = template.render(
        told=told,
        weeks=_chart(told["weeks"][-_MOST_WEEKS:], "click-through by week (its Monday), with 95 % interval"),
        kinds=_chart(
            [one for one in (told["personal"], told["for_all"]) if one],
            "click-through, with 95 % interval",
            strong=0,
        ),
        sources=_chart(_largest(told["sources"]), "click-through by what ranked the answer"),
        placements=_chart(_largest(told["placements"]), "click-through by where it was shown"),
        **{name: getattr(numbers, name) for name in ("figure", "percent", "seconds", "money", "counted")},
    )
    return page


def _chart(rates: Sequence[Mapping[str, Any]], title: str, strong: int | None = None) -> str:
    """Dots of click-through: markup; empty where there is nothing to draw."""
    dots = [
        Dot(
            label=rate["name"] or "(not said)",
            mean=rate["rate"]["mean"],
            low=rate["rate"]["low"],
            high=rate["rate"]["high"],
            strong=place == strong,
        )
        for place, rate in enumerate(rates)
    ]
    return dot_chart(dots, title)


def _largest(rates: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(rates, key=lambda rate: -rate["shown"])[:_MOST_ROWS]
