import pytest

from matinee.core import errors


def test_a_data_error_names_the_place():
    error = errors.DataError(
        "expected a number", file="a.csv", row=7, column="time", value="noon", remedy="Mend the row."
    )
    assert str(error) == "a.csv, row 7, column 'time': expected a number (found 'noon'). Mend the row."
    assert error.exit_status == 2


@pytest.mark.parametrize(
    ("name", "words"), [("eaze", "did you mean 'ease'"), ("zzzz", "known are ease, ials")]
)
def test_an_unknown_name_names_the_nearest_or_all(name, words):
    assert words in str(errors.unknown_name("recommender", name, ["ials", "ease"]))


def test_a_missing_extra_says_what_to_install():
    sentence = str(errors.MissingExtra("Writing to PostgreSQL", "postgres"))
    assert sentence == "Writing to PostgreSQL needs: pip install 'matinee[postgres]'"


def test_the_gate_has_a_status_of_its_own():
    assert errors.GateRefused.exit_status == 3
    assert errors.MatineeError.exit_status == 1
