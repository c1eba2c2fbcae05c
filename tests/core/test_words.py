"""Numbers in sentences."""

from matinee.core.words import counted


def test_one_is_one_and_the_others_are_several() -> None:
    assert [counted(n, "row") for n in (0, 1, 2, 2000)] == ["0 rows", "1 row", "2 rows", "2,000 rows"]
    assert counted(1, "row was", "rows were") + " left" == "1 row was left"
    assert counted(3, "row was", "rows were") + " left" == "3 rows were left"
