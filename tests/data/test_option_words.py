from pathlib import Path

import numpy as np
import pytest

from matinee.core.errors import DataError, SettingsError
from matinee.data.option_words import (
    log_options,
    options_from_words,
    parse_columns,
    parse_gap,
    parse_kinds,
    parse_positive,
    parse_weights,
    read_log_settings,
)
from matinee.data.options import LogOptions


def test_columns_weights_and_kinds_are_lists_of_words() -> None:
    assert parse_columns("user=viewer, item=film id,time=2") == {
        "user": "viewer",
        "item": "film id",
        "time": "2",
    }
    assert parse_weights("view=.1,cart=.5, purchase = 1") == {"view": 0.1, "cart": 0.5, "purchase": 1.0}
    assert parse_weights("a=b=2") == {"a=b": 2.0}
    assert parse_kinds("dislike, return,,dislike") == ("dislike", "return")


@pytest.mark.parametrize(
    ("words", "name", "sign", "bound"),
    [
        ("rating>=4", "rating", ">=", 4.0),
        ("value > 0.5", "value", ">", 0.5),
        ("share watched<=.9", "share watched", "<=", 0.9),
        ("stars<3", "stars", "<", 3.0),
        ("rating == 5", "rating", "==", 5.0),
        ("rating!=-1", "rating", "!=", -1.0),
    ],
)
def test_conditions(words: str, name: str, sign: str, bound: float) -> None:
    condition = parse_positive(words)
    assert (condition.name, condition.sign, condition.bound) == (name, sign, bound)


def test_every_operator_compares_as_written_and_an_empty_value_never_meets_it() -> None:
    values = np.array([3.0, 4.0, 5.0, np.nan], dtype=np.float32)
    met = {
        sign: parse_positive(f"rating{sign}4").holds(values).tolist()
        for sign in (">=", ">", "<", "<=", "==", "!=")
    }
    assert met == {
        ">=": [False, True, True, False],
        ">": [False, False, True, False],
        "<": [True, False, False, False],
        "<=": [True, True, False, False],
        "==": [False, True, False, False],
        "!=": [True, False, True, False],
    }


def test_a_bound_that_float32_rounds_still_equals_its_own_value() -> None:
    assert parse_positive("rating>=4.1").holds(np.array([4.1], dtype=np.float32)).all()


@pytest.mark.parametrize(
    ("words", "milliseconds"),
    [("30min", 1_800_000), ("90s", 90_000), ("2h", 7_200_000), ("1.5 h", 5_400_000), ("30", 1_800_000)],
)
def test_gaps(words: str, milliseconds: int) -> None:
    assert parse_gap(words) == milliseconds


@pytest.mark.parametrize(
    ("option", "words", "sentence"),
    [
        ("columns", "usr=a", "did you mean 'user'"),
        ("columns", "user", "expected user=NAME"),
        ("weight", "view=much", "expected a number of at least 0 for 'view', found 'much'"),
        ("weight", "view=-1", "at least 0"),
        ("weight", "view=nan", "at least 0"),
        ("positive", "rating 4", "expected a condition"),
        ("positive", "rating>=four", "expected a number after '>='"),
        ("session-gap", "half an hour", "expected a length of time"),
        ("session-gap", "0s", "expected a length of time"),
        ("targets", "purchase", "did you mean 'target'"),
        ("repeats", "maybe", "expected true or false"),
    ],
)
def test_words_that_cannot_be_read(option: str, words: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence.replace("(", r"\(")):
        log_options({option: words})


def test_what_was_not_given_stays_at_its_default() -> None:
    assert log_options({"items": None, "repeats": False, "positive": "", "weight": None}) == LogOptions()


def test_a_settings_file_says_the_same_as_a_command_line(tmp_path: Path) -> None:
    settings = tmp_path / "shop.toml"
    settings.write_text(
        '[log]\ncolumns = {user = "customer", time = 3}\nweight = {view = 0.1, purchase = 1}\n'
        'negative = ["return"]\n'
        'session-gap = "30min"\nrepeats = true\nitems = "items.csv"\npositive = "rating>=4"\n'
    )
    typed = log_options(
        {
            "columns": "user=customer,time=3",
            "weight": "view=.1,purchase=1",
            "negative": "return",
            "session_gap": "30min",
            "repeats": True,
            "items": str(tmp_path / "items.csv"),
            "positive": "rating>=4",
        }
    )
    assert read_log_settings(settings) == typed


def test_what_was_typed_goes_before_the_settings_file(tmp_path: Path) -> None:
    settings = tmp_path / "shop.toml"
    settings.write_text('[log]\ntarget = "view"\nrepeats = true\n')
    options = options_from_words({"log_settings": str(settings), "target": "purchase", "repeats": False})
    assert options == LogOptions(target="purchase", repeats=True)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[log", DataError),
        ("[tune]\n", DataError),
        ("log = 3\n", DataError),
        ('[log]\nwieght = "a=1"\n', SettingsError),
    ],
)
def test_settings_files_that_cannot_be_used(tmp_path: Path, text: str, error: type[Exception]) -> None:
    (tmp_path / "shop.toml").write_text(text)
    with pytest.raises(error):
        read_log_settings(tmp_path / "shop.toml")


def test_a_missing_settings_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"shop\.toml: there is no such file"):
        read_log_settings(tmp_path / "shop.toml")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("weight = 3", "--weight: expected a text such as"),
        ("weight = {view = true}", "--weight: view: expected a text or a number, found True"),
        ("negative = 3", "--negative: expected a text such as"),
        ("negative = [1]", "--negative: expected names of kinds, found 1"),
        ("negative = []", "--negative: expected kinds such as"),
        ('items = ["a"]', "--items: expected a text, found ['a']"),
        ("items = 3", "--items: expected a text, found 3"),
        ('items = " "', "--items is an empty text"),
        ("target = [1]", "--target: expected a text, found [1]"),
        ("columns = []", "--columns: expected a text such as"),
        ("columns = false", "--columns: expected a text such as"),
        ("columns = {user = [1]}", "--columns: user: expected a text or a number"),
        ("positive = 4", "--positive: expected a text, found 4"),
        ("session-gap = true", "--session-gap: expected a length of time"),
        ('repeats = ""', "--repeats: expected true or false, found ''"),
        ("skip-bad = true\nskip_bad = false", "given twice, as skip-bad and as skip_bad"),
        ("wieght = 3", "Unknown LOG option 'wieght': did you mean 'weight'?"),
    ],
)
def test_a_value_of_the_wrong_type_is_one_sentence_that_names_the_file(
    tmp_path: Path, line: str, sentence: str
) -> None:
    (tmp_path / "shop.toml").write_text(f"[log]\n{line}\n")
    with pytest.raises(SettingsError) as refused:
        read_log_settings(tmp_path / "shop.toml")
    assert str(refused.value).startswith(f"{tmp_path}/shop.toml, [log]: ")
    assert sentence in str(refused.value)


def test_plain_values_of_a_settings_file_are_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text(
        '[log]\ncolumns = {user = "name, first", item = 0, time = ""}\n'
        'weight = {"a,b" = 1}\nsession_gap = 30\n'
    )
    found = read_log_settings(tmp_path / "shop.toml")
    assert found.columns == {"user": "name, first", "item": "0", "time": ""}
    assert found.weight == {"a,b": 1.0}
    assert found.session_gap == "30"


def test_a_folder_of_settings_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a TOML file, found a folder"):
        read_log_settings(tmp_path)


def test_an_empty_column_says_that_none_has_the_role() -> None:
    assert parse_columns("order=time,time=") == {"order": "time", "time": ""}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("user=a,item=a", "the column 'a' is given to two roles"),
        ("user=a,user=b", "user is named twice, as 'a' and as 'b'"),
        ("=a", "expected user=NAME"),
        ("", "expected user=NAME"),
    ],
)
def test_columns_that_contradict_themselves(words: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        parse_columns(words)


@pytest.mark.parametrize("name", ["columns", "items", "negative", "log_settings", "session_gap"])
def test_an_empty_text_on_the_command_line_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"--{name.replace('_', '-')} is an empty text"):
        options_from_words({name: " "})


def test_the_signs_are_named() -> None:
    for words in ("rating>>4", "rating is 4"):
        with pytest.raises(SettingsError, match="> <"):
            parse_positive(words)
    with pytest.raises(SettingsError, match="named twice"):
        parse_weights("a=1,a=2")
    with pytest.raises(SettingsError, match="expected kinds such as"):
        log_options({"negative": ","})
