"""The items most like one item, with titles."""

from __future__ import annotations

from typing import Any

from matinee.answers.model import Model
from matinee.answers.rules import Rules


def similar_to(model: Model, item: str, k: int = 10, *, region: str | None = None) -> dict[str, Any]:
    """The JSON of `similar`: item, title, source and the nearest items, best first.

    Args:
        model: a fitted model.
        item: an id.
        k: how many items.
        region: whose own model says what is alike, where it has one; None: the shared one.

    Raises:
        InputError: the catalogue has no such item.
    """
    top = model.similar([item], k, rules=Rules(region=region))
    near = [
        {"item": model.log.items.id(code), "title": model.title(code), "score": float(score)}
        for code, score in zip(top.codes[0], top.scores[0], strict=True)
        if code >= 0
    ]
    return {
        "item": item,
        "title": model.title(model.log.items.code(item)),
        "source": model.name,
        "items": near,
    }
