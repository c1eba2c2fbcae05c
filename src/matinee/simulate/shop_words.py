"""Ids and names of a shop as exports have them: quotes, commas, slashes, blanks, letters of all kinds."""

from __future__ import annotations

import numpy as np

THINGS = (
    "Coffee, ground",
    "Crème brûlée set",
    'Frame 8"x10"',
    "Garden hose 1/2 inch",
    "Kettle",
    "Lamp “Aurora”",
    "Müsli",
    "Notebook A5, ruled",
    "Olive oil 500ml",
    "Pillow; feather",
    "Piñata",
    "Poster 'Moon'",
    "Rice, basmati",
    "Smørrebrød board",
    "Socks & slippers",
    "Tea 緑茶",
    "Toothpaste",
    "Vase | tall",
    "Wool blanket",
    "Хлебница",
)
_ID_SHAPES = ("SKU-{n:05d}", "sku/{n}", 'item "{n}"', "a{n},b", "Größe {n}", "{n:07d}", "茶-{n}", "p {n} x")
_SHOPPER_SHAPES = (
    "c{n}",
    "customer {n}",
    "käufer-{n}",
    "o'neill+{n}@example.com",
    "{n:08d}",
    'the "{n}"',
    "x,{n}",
)


def product_ids(n: int) -> list[str]:
    """Distinct ids of n products, in a dozen fashions at once."""
    return [_ID_SHAPES[code % len(_ID_SHAPES)].format(n=code + 1) for code in range(n)]


def product_names(n: int, random: np.random.Generator) -> list[str]:
    """Distinct names of n products."""
    things = random.integers(0, len(THINGS), n)
    return [f"{THINGS[thing]} no. {code + 1}" for code, thing in enumerate(things.tolist())]


def shopper_ids(n: int) -> list[str]:
    """Distinct ids of n shoppers."""
    return [_SHOPPER_SHAPES[code % len(_SHOPPER_SHAPES)].format(n=code + 1) for code in range(n)]


def bot_ids(n: int) -> list[str]:
    """Ids of n bots; nothing in them says so."""
    return [f"c9{code:06d}" for code in range(n)]


def anonymous_ids(viewers: list[int]) -> list[str]:
    """The ids that some viewers had before they signed in."""
    return [f"anon-{viewer:x}-{viewer * 2_654_435_761 % 2**32:08x}" for viewer in viewers]
