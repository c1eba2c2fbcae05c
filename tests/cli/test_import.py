"""`matinee import` and what follows it, as somebody types it."""

import json

import pytest
from tests.cli.typed import typed

CSV = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE\n" + "".join(
    f"u{viewer},i{(viewer + step) % 9},{1_700_000_000 + 60 * step},watch\n"
    for viewer in range(30)
    for step in range(6)
)


def test_an_import_is_followed_by_a_fit(tmp_path):
    (tmp_path / "export").mkdir()
    (tmp_path / "export/part.csv").write_text(CSV)
    done = typed("import", "personalize", "export", "-o", "films", "--json", "told.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "films: 180 events (180 watch), 0 items, 0 viewers." in done.stdout
    told = json.loads((tmp_path / "told.json").read_text())
    assert (told["events"], told["kinds"]) == (180, {"watch": 180})
    follow = done.stdout.split("Try: matinee ")[1].split()
    fitted = typed(*follow, "--recommender", "popularity", cwd=tmp_path)
    assert fitted.returncode == 0, fitted.stderr
    assert (tmp_path / "bundle/manifest.json").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("import", "netflix", "export", "-o", "films"), "expected personalize or gorse"),
        (("import", "gorse", "a", "b", "-o", "films"), "takes one SOURCE"),
        (("import", "gorse", "nowhere", "-o", "films"), "no such file"),
        (("import", "personalize", " ", "-o", "films"), "SOURCE is an empty text"),
    ],
)
def test_a_wrong_call_is_a_sentence_and_status_2(tmp_path, words, said):
    done = typed(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_key_that_is_made_signs_for_clients_of_personalize(tmp_path):
    made = typed("keys", "add", "films", "--store", "sqlite:///s.db", "--json", "key.json", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    told = json.loads((tmp_path / "key.json").read_text())
    assert told["key"] in made.stdout
    assert told["aws_secret_access_key"] in made.stdout
    assert told["aws_access_key_id"] == told["id"]
    assert told["aws_secret_access_key"] not in told["key"]
