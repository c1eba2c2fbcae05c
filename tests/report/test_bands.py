from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from matinee.report.bands import Band, band_chart

SPACE = "{http://www.w3.org/2000/svg}"


@given(
    st.lists(st.tuples(st.floats(-20, 20), st.floats(0, 10)), min_size=1, max_size=600), st.text(max_size=40)
)
def test_any_points_and_words_give_a_drawing_that_stays_in_its_frame(points, words):
    bands = [Band(mean=mean, low=mean - half, high=mean + half) for mean, half in points]
    title = "".join(letter for letter in words if letter.isprintable())
    root = ElementTree.fromstring(band_chart(bands, title, ends=(-10, 10), width=340))  # noqa: S314 (our own)
    for shape in ("polygon", "polyline"):
        corners = [one.split(",") for one in root.find(f"{SPACE}{shape}").get("points").split()]
        assert all(0 <= float(x) <= 340 and 0 <= float(y) <= 240 for x, y in corners)
        assert len(corners) <= 2 * 240
    last = root.find(f"{SPACE}circle")
    assert float(last.get("cx")) == (184.0 if len(bands) == 1 else 328.0)


def test_no_points_give_no_drawing():
    assert band_chart([], "nothing", ends=(0, 1)) == ""
