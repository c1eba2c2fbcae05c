"""Filter expressions: the documented ones are read and hold, others are refused with the place."""

import json

import pyarrow as pa
import pytest

from matinee.core.errors import InputError
from matinee.data.vocabulary import Vocabulary
from matinee.serve.personalize_filters import parse, read_filters, values_in
from matinee.serve.personalize_select import Asker, Selector
from matinee.serve.records import ItemRecord, Seen
from matinee.serve.refusals import Refusal
from matinee.serve.service import Catalogue

IDS = ["a", "b", "c", "d"]
TABLE = pa.table(
    {
        "id": IDS,
        "title": ["A", "B", "C", "D"],
        "genres": [["Crime"], ["Crime", "Drama"], ["Comedy"], None],
        "PRICE": [1.0, 2.5, None, 10.0],
        "YEAR": ["1999", "2001", "2001", "soon"],
        "CATEGORY_L2": ["boot", "sandal", "boot|heel", None],
    }
)
HISTORY = [Seen("a", "click", None, 1), Seen("b", "Stream", 0.9, 2), Seen("c", "stream", 0.1, 3)]


def catalogue(*records):
    return Catalogue(
        table=TABLE,
        rows=Vocabulary(IDS).codes,
        records={one.id: one for one in records},
        version=json.dumps([one.id for one in records]),
    )


def chosen(text, values=None, *, item=None, attributes=None, records=()):
    """The items that a filter lets in, of everything in the catalogue and beside it."""
    asker = Asker(attributes=attributes or {}, history=HISTORY, item=item)
    there = catalogue(*records)
    found = Selector().select(text, values or {}, there, asker)
    by_genre = dict(zip(IDS, TABLE.column("genres").to_pylist(), strict=True))
    ids = [*IDS, *(one.id for one in records if one.id not in IDS)]
    genres = {one.id: one.categories for one in records}
    return "".join(one for one in ids if found.lets(one, genres.get(one) or by_genre.get(one) or ()))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('INCLUDE ItemID WHERE Items.GENRES IN ("Crime")', "ab"),
        ('include ItemId where Items.category in ("Crime", "Comedy")', "abc"),
        ('EXCLUDE ItemID WHERE Items.GENRES IN ("Drama")', "acd"),
        ('INCLUDE ItemID WHERE Items.GENRES NOT IN ("Crime")', "cd"),
        ('INCLUDE ItemID WHERE Items.GENRES = "Comedy"', "c"),
        ("INCLUDE ItemID WHERE Items.PRICE <= 2.5", "ab"),
        ("INCLUDE ItemID WHERE Items.PRICE > 1 AND Items.PRICE < 11", "bd"),
        ("EXCLUDE ItemID WHERE Items.PRICE >= 2.5", "ac"),
        ("INCLUDE ItemID WHERE Items.YEAR IN (2001)", "bc"),
        ("INCLUDE ItemID WHERE Items.YEAR > 2000", "bc"),
        ("INCLUDE ItemID WHERE Items.YEAR != 2001", "ad"),
        ('INCLUDE ItemID WHERE Items.ITEM_ID IN ("d", "a")', "ad"),
        ('INCLUDE ItemID WHERE Items.CATEGORY_L2 IN ("boot")', "ac"),
        (
            'EXCLUDE ItemID WHERE Items.GENRES IN ("Crime") AND Items.CATEGORY_L2 NOT IN ("boot")',
            "acd",
        ),
        ('INCLUDE ItemID WHERE Items.PRICE = 1 OR Items.GENRES IN ("Crime") AND Items.YEAR = 2001', "ab"),
        ('INCLUDE ItemID WHERE Items.NOWHERE IN ("x")', ""),
        ('EXCLUDE ItemID WHERE Items.NOWHERE IN ("x")', "abcd"),
        ('EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("click", "stream")', "d"),
        ('EXCLUDE ItemID WHERE Interactions.event_type IN ("STREAM")', "ad"),
        ('INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("*")', "abc"),
        ('INCLUDE ItemID WHERE Interactions.EVENT_TYPE NOT IN ("click")', "bc"),
        ('INCLUDE ItemID WHERE Interactions.EVENT_TYPE = "stream" AND Interactions.EVENT_VALUE > 0.5', "b"),
        (
            "INCLUDE ItemID WHERE Items.PRICE = 1 | "
            'INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("stream")',
            "abc",
        ),
        ("EXCLUDE ItemID WHERE Items.PRICE = 1 | EXCLUDE ItemID WHERE Items.PRICE = 10", "bc"),
        (
            'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("click") | '
            'INCLUDE ItemID WHERE Items.GENRES IN ("Crime")',
            "b",
        ),
    ],
)
def test_what_a_filter_lets_in(text, left):
    assert chosen(text) == left


def test_placeholders():
    wanted = "INCLUDE ItemID WHERE Items.GENRES IN ($G)"
    assert chosen(wanted, {"G": '"Crime","Comedy"'}) == "abc"
    assert chosen(wanted, {"G": "Drama"}) == "b"
    assert chosen("INCLUDE ItemID WHERE Items.PRICE < $P", {"P": "2"}) == "a"
    assert chosen("EXCLUDE ItemID WHERE Items.GENRES IN ($G)") == "abcd"
    assert chosen('EXCLUDE ItemID WHERE Items.GENRES IN ("Drama", $G)') == "abcd"
    with pytest.raises(Refusal, match=r"lacks \$G"):
        chosen(wanted)
    with pytest.raises(Refusal, match="has 'X': the filter has"):
        chosen(wanted, {"G": "a", "X": "b"})
    with pytest.raises(Refusal, match=r"< compares with one value: \$P has 2"):
        chosen("INCLUDE ItemID WHERE Items.PRICE < $P", {"P": "1,2"})


def test_the_user_and_the_current_item():
    crime = 'EXCLUDE ItemID WHERE Items.GENRES IN ("Crime")'
    young = f'{crime} IF CurrentUser.AGE < 18 AND CurrentUser.PLAN = "family"'
    assert chosen(young, attributes={"age": 12, "plan": "family"}) == "cd"
    assert chosen(young, attributes={"age": 12, "plan": "other"}) == "abcd"
    assert chosen(young) == "abcd"
    cheaper = "INCLUDE ItemID WHERE Items.PRICE < CurrentItem.PRICE AND Items.GENRE IN CurrentItem.GENRE"
    assert chosen(cheaper, item="b") == "a"
    assert chosen(cheaper, item="nobody") == ""


def test_what_the_store_says_goes_before_the_bundle():
    records = (
        ItemRecord(id="a", categories=("Comedy",)),
        ItemRecord(id="e", categories=("Crime",), attributes={"PRICE": 0.5}, added_ms=5_000),
        ItemRecord(id="d", deleted=True),
    )
    assert chosen("INCLUDE ItemID WHERE Items.PRICE < 20", records=records) == "abe"
    assert chosen('INCLUDE ItemID WHERE Items.GENRES NOT IN ("Crime")', records=records) == "ac"
    assert chosen("INCLUDE ItemID WHERE Items.CREATION_TIMESTAMP = 5", records=records) == "e"


def test_what_was_chosen_once_is_kept_until_items_change():
    selector, asker = Selector(), Asker(attributes={}, history=())
    text = "INCLUDE ItemID WHERE Items.PRICE < 5"
    first = selector.select(text, {}, catalogue(), asker)
    assert selector.select(text, {}, catalogue(), asker).only is not None
    fresh = catalogue(ItemRecord(id="e", attributes={"price": 1}))
    assert set(selector.select(text, {}, fresh, asker).only) == {*first.only, "e"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected INCLUDE or EXCLUDE"),
        ("SELECT * FROM Items", "before 'SELECT"),
        ('INCLUDE UserID WHERE Users.AGE = "1"', "only ItemID"),
        ('INCLUDE ItemID Items.GENRES IN ("x")', "expected WHERE"),
        ('INCLUDE ItemID WHERE Users.AGE IN ("x")', "Items.FIELD or Interactions.FIELD"),
        ("INCLUDE ItemID WHERE Items.GENRES LIKE 5", "expected IN, NOT IN"),
        ('INCLUDE ItemID WHERE Items.GENRES IN ("x"', "closing parenthesis"),
        ('INCLUDE ItemID WHERE Items.GENRES IN ("x) OR', "CurrentItem.FIELD"),
        ('INCLUDE ItemID WHERE Items.A = 1 AND Interactions.EVENT_TYPE IN ("x")', "of one dataset"),
        ('INCLUDE ItemID WHERE Interactions.DEVICE IN ("x")', "EVENT_TYPE and EVENT_VALUE"),
        ("INCLUDE ItemID WHERE Items.A = 1 IF Items.B = 2", "CurrentUser.FIELD"),
        ("INCLUDE ItemID WHERE Items.A = 1 trailing", "or the end"),
        ("INCLUDE ItemID WHERE Items.A > .5", "expected a text"),
        ("INCLUDE ItemID WHERE Items.A = 1 |", "expected INCLUDE or EXCLUDE"),
        ("INCLUDE ItemID WHERE Items.A IN (" + "(" * 500, "CurrentItem.FIELD"),
        ("INCLUDE ItemID WHERE Items.A = 1" + " AND Items.A = 1" * 60, "more than 50 conditions"),
        ("x" * 3000, "at most 2,500"),
    ],
)
def test_what_cannot_be_read_says_where(text, words):
    with pytest.raises(Refusal) as refused:
        parse(text)
    assert words in str(refused.value)


def test_values_come_in_quotes_or_bare():
    assert values_in('"a, b","c"') == ("a, b", "c")
    assert values_in("1, 2.5,x y") == (1.0, 2.5, "x y")
    assert values_in("'a'") == ("a",)
    for bad in ('"a', '"a" "b"'):
        with pytest.raises(Refusal, match="A filter value"):
            values_in(bad)


def test_named_filters_are_read_from_a_file(tmp_path):
    path = tmp_path / "filters.toml"
    path.write_text("[filters]\nnew = 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN (\"*\")'\n")
    assert list(read_filters(path)) == ["new"]
    for text, words in (
        ("[filters]\nbad = 'EXCLUDE Item'\n", "filter 'bad': The filter cannot be read"),
        ("[other]\n", "expected a table"),
        ("= 5", "is no TOML"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=words):
            read_filters(path)
    with pytest.raises(InputError, match="No such file"):
        read_filters(tmp_path / "nowhere.toml")
