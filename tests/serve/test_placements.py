import pytest

from matinee.core.errors import DataError, SettingsError
from matinee.serve.asking import Ask
from matinee.serve.placements import apply, placements_from_note, placements_of, read_placements

TOML = """
[placements.home]
k = 20
exclude = ["advert"]
most = {series = 1}
diversity = 0.25
repeats = true
"""


def test_a_file_of_placements_is_read_and_applied(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text(TOML)
    rules = read_placements(path)
    found = apply(Ask(user="u", placement="home", exclude=("mine",)), rules)
    assert (found.k, found.diversity, found.repeats, found.most) == (20, 0.25, True, {"series": 1})
    assert set(found.exclude) == {"mine", "advert"}
    assert found.user == "u"


def test_what_the_request_says_goes_first():
    rules = placements_of({"home": {"k": 20, "freshness": 0.5}}, "here [placements")
    found = apply(Ask(placement="home", k=3), rules)
    assert (found.k, found.freshness) == (3, 0.5)


def test_an_ask_without_such_a_placement_stays_as_it_is():
    ask = Ask(placement="cellar")
    assert apply(ask, {"home": {"k": 3}}) is ask
    assert apply(Ask(), {"": {"k": 3}}) == Ask()


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("k", 0), ("k", True), ("k", 501), ("k", "ten"), ("diversity", 1.5), ("freshness", float("nan")),
        ("exclude", "one"), ("pinned", [1]), ("most", {"series": 0}), ("most", {}),
        ("repeats", 1), ("region", ""),
    ],
)  # fmt: skip
def test_a_value_that_makes_no_sense_is_refused_in_one_sentence(rule, value):
    with pytest.raises(SettingsError, match=rf"rules.toml, \[placements.home\]: {rule} is .*, found"):
        placements_of({"home": {rule: value}}, "rules.toml, [placements")


def test_an_unknown_rule_names_the_nearest():
    with pytest.raises(SettingsError, match="'diversity'"):
        placements_of({"home": {"diversty": 0.1}}, "x [placements")


@pytest.mark.parametrize("note", ["{", "[]", '{"home": 3}'])
def test_a_note_of_something_else_is_refused(note):
    with pytest.raises(SettingsError, match="note 'placements'"):
        placements_from_note(note)


def test_a_missing_or_broken_file_is_refused(tmp_path):
    (tmp_path / "bad.toml").write_text("[placements")
    for name, words in (("bad.toml", "TOML"), ("none.toml", "cannot be read: No such file")):
        with pytest.raises(DataError, match=words):
            read_placements(tmp_path / name)
