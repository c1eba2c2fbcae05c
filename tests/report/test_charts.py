from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.report.charts import Dot, dot_chart
from matinee.report.numbers import dollars, figure, megabytes, milliseconds, probability, seconds

SPACE = "{http://www.w3.org/2000/svg}"


def test_a_chart_has_a_dot_within_its_interval_for_each_row():
    dots = [
        Dot(label="a", mean=0.1, low=0.05, high=0.2),
        Dot(label="b", mean=0.3, low=0.25, high=0.4, strong=True),
    ]
    root = ElementTree.fromstring(dot_chart(dots, "ndcg@10"))  # noqa: S314 (our own)
    circles = [float(one.get("cx")) for one in root.iter(f"{SPACE}circle")]
    bars = [one for one in root.iter(f"{SPACE}line") if one.get("class") == "interval"]
    assert len(circles) == len(bars) == 2
    assert circles[0] < circles[1]
    for x, bar in zip(circles, bars, strict=True):
        assert float(bar.get("x1")) <= x <= float(bar.get("x2"))


@given(
    st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(0, 10), st.text(max_size=50)), min_size=1, max_size=8)
)
def test_any_numbers_and_words_give_well_formed_charts_inside_their_frame(rows):
    dots = [
        Dot(label="".join(c for c in text if c.isprintable()), mean=mean, low=mean - half, high=mean + half)
        for mean, half, text in rows
    ]
    root = ElementTree.fromstring(dot_chart(dots, "difference"))  # noqa: S314 (our own)
    width = float(root.get("viewBox").split()[2])
    for circle in root.iter(f"{SPACE}circle"):
        assert 0 <= float(circle.get("cx")) <= width


def test_a_narrow_chart_stays_in_its_frame_and_shortens_long_names():
    dots = [Dot(label="a recommender of a very long name", mean=0.5, low=0.1, high=0.9)]
    root = ElementTree.fromstring(dot_chart(dots, "share", width=300))  # noqa: S314 (our own)
    assert root.get("viewBox").startswith("0 0 300 ")
    assert all(0 <= float(line.get(x)) <= 300 for line in root.iter(f"{SPACE}line") for x in ("x1", "x2"))
    label = next(one.text for one in root.iter(f"{SPACE}text") if one.get("class") == "label")
    assert label.endswith("…")
    assert len(label) < 24


def test_no_rows_give_no_chart():
    assert dot_chart([], "nothing") == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (figure(0.1714), ".171"),
        (figure(-0.0204, 4), "-.0204"),
        (figure(9.58), "9.580"),
        (figure(None), "–"),
        (seconds(0.04), "0.0 s"),
        (seconds(275), "275 s"),
        (seconds(7200), "120 min"),
        (milliseconds(0.213), "0.21 ms"),
        (megabytes(2048), "2.0 GB"),
        (dollars(0.00005), "< 1 ¢"),
        (dollars(1.5), "$1.50"),
        (probability(0.0004), "< .001"),
        (probability(0.05), ".050"),
    ],
)
def test_numbers_as_people_read_them(words, expected):
    assert words == expected
