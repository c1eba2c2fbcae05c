"""The frame of a report: one HTML file that needs nothing else, no network, no script, light and dark."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from matinee.core.errors import InputError
from matinee.report import numbers

if TYPE_CHECKING:
    from markupsafe import Markup

_NUMBERS = ("counted", "figure", "money", "percent", "probability", "seconds")


def require_templates() -> None:
    """Refuse a report where nothing fills templates in, as on a machine that is lent for its GPU.

    Raises:
        InputError: says what to install.
    """
    if find_spec("jinja2") is None:
        raise InputError("A report needs jinja2, found none: pip install jinja2, or ask for none.")


def framed(template: str, values: dict[str, Any]) -> str:
    """A report from its template; every word in it is escaped, and a name that nobody gave is an error.

    Args:
        template: its file's name.
        values: what it shows.

    Raises:
        InputError: what fills templates in is not installed.
    """
    require_templates()
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("matinee.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update({name: getattr(numbers, name) for name in _NUMBERS})
    environment.filters["coded"] = coded
    page: str = environment.get_template(template).render(values)
    return page


def coded(text: str) -> Markup:
    """A sentence as markup: what stands between backticks is shown as code."""
    from markupsafe import Markup, escape

    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup().join(
        Markup("<code>{}</code>").format(part) if place % 2 else part for place, part in enumerate(parts)
    )
