"""What stands for an item: safe pictures only, letters that can be seen."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.serve.page.posters import (
    DESIGNS,
    HUES,
    LONGEST_TITLE,
    initials_of,
    is_safe_image,
    poster_of,
    shown,
)


@settings(max_examples=60)
@given(st.text(max_size=200))
def test_what_is_shown_is_one_short_line_of_letters_that_can_be_seen(text):
    line = shown(text)
    assert len(line) <= LONGEST_TITLE
    assert line == " ".join(line.split())
    assert all(
        letter == "\u200d" or unicodedata.category(letter) not in ("Cf", "Cc", "Cs") for letter in line
    )


@given(st.text(max_size=60), st.text(max_size=60))
def test_every_item_has_a_poster_and_always_the_same(item, title):
    poster = poster_of(item, title, None)
    assert poster == poster_of(item, title, None)
    assert 1 <= len(poster.initials) <= 6
    assert 0 <= poster.design < DESIGNS
    assert 0 <= poster.hue < HUES


@pytest.mark.parametrize(
    ("title", "letters"),
    [
        ("The Iron Bridge", "IB"),
        ("the", "T"),
        ("Ñandú", "Ñ"),
        ("2001: a space odyssey", "2S"),
        ("?!", "·"),
        ("七人の侍", "七"),
    ],
)
def test_initials_are_those_of_the_words_that_say_something(title, letters):
    assert initials_of(title) == letters


@pytest.mark.parametrize("address", ["/posters/1.png", "data:image/png;base64,AAAA", "/a?b=c&d=%20"])
def test_pictures_from_here_are_shown(address):
    assert is_safe_image(address)
    assert poster_of("a", "A", address).image == address


@pytest.mark.parametrize(
    "address",
    [
        "https://elsewhere.example/1.png",
        "//elsewhere.example/1.png",
        "/\\elsewhere.example/1.png",
        "/\t/elsewhere.example/1.png",
        "javascript:alert(1)",
        "data:text/html,<script>",
        "data:image/svg+xml,<svg/>",
        "posters/1.png",
        "",
        "/" + "a" * 9_000,
    ],
)
def test_pictures_from_elsewhere_are_not_asked_for(address):
    assert not is_safe_image(address)
    assert poster_of("a", "A", address).image == ""
