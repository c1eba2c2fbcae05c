"""What stands for an item on the page: its picture where it is safe to show, else a poster that is drawn.

A drawn poster has the title's initials on one of a few designs in one of twelve colours; which, the item's id
says, so that an item looks the same everywhere. The designs lie in the template `art.svg`, once a page.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from hashlib import blake2b

DESIGNS = 8
HUES = 12
LONGEST_TITLE = 90

# A picture within the page must not make it heavy.
_LONGEST_IMAGE = 8_000
_SMALL_WORDS = frozenset({"the", "a", "an", "of", "and", "der", "die", "das", "le", "la", "les", "el", "il"})
_DATA_IMAGE = re.compile(r"data:image/(png|jpeg|gif|webp|avif)[;,]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Poster:
    """How an item looks.

    Attributes:
        image: address of its picture; empty where one is drawn.
        initials: at most two letters.
        design: which of the designs.
        hue: which of the colours.
        flipped: whether the design is seen in a mirror.
    """

    image: str
    initials: str
    design: int
    hue: int
    flipped: bool


def poster_of(item: str, title: str, image: str | None) -> Poster:
    """The poster of an item."""
    digest = blake2b(item.encode("utf-8", "replace"), digest_size=4).digest()
    return Poster(
        image=image if image is not None and is_safe_image(image) else "",
        initials=initials_of(title),
        design=digest[0] % DESIGNS,
        hue=digest[1] % HUES,
        flipped=digest[2] % 2 == 1,
    )


def is_safe_image(address: str) -> bool:
    """Whether a picture comes from this server or lies in its own address: nobody else learns who looks."""
    if len(address) > _LONGEST_IMAGE or any(ord(letter) <= 32 or letter == "\\" for letter in address):
        return False
    if _DATA_IMAGE.match(address):
        return True
    return address.startswith("/") and not address.startswith("//")


def initials_of(title: str) -> str:
    """The first letters of a title's first two words that say something."""
    words = [word for word in re.split(r"[^\w]+", title) if word]
    telling = [word for word in words if word.lower() not in _SMALL_WORDS] or words
    return "".join(word[0] for word in telling[:2]).upper() or "·"


def shown(text: str, longest: int = LONGEST_TITLE) -> str:
    """A text from outside as it may stand on the page: one line of bounded length.

    What turns the direction of writing or cannot be seen is taken out, so that a title can neither look like
    another nor reach beyond its place.
    """
    # Much more than is shown need not be looked at; and hardly any title has letters that are none.
    seen = text[: 8 * longest]
    if not seen.isprintable():
        seen = "".join(" " if _is_blank(letter) else letter for letter in seen if _is_seen(letter))
    line = " ".join(seen.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def _is_blank(letter: str) -> bool:
    return unicodedata.category(letter) in ("Zs", "Zl", "Zp", "Cc")


def _is_seen(letter: str) -> bool:
    # U+200D joins letters and pictures that belong together.
    return letter == "\u200d" or unicodedata.category(letter) not in ("Cf", "Cs", "Co", "Cn")
