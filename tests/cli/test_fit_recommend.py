"""The commands fit, recommend, similar and version, as a person types them."""

import csv
import json
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from matinee.cli.app import app
from matinee.cli.fit import _summary, joined_words, own_settings, settings_words
from matinee.core.errors import InputError, MatineeError, SettingsError
from matinee.core.settings import config_values
from matinee.recommenders import make_recommender

ITEMS = {"a/b": "The Slash", 'c "d"': "The Quote", "e,f": "The Comma", "ü é": "The Umlaut", "new": "Nobody's"}


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    ids = list(ITEMS)[:4]
    with (folder / "log.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "item_id", "timestamp"])
        for viewer in range(40):
            for step in range(3):
                writer.writerow(
                    [f"u {viewer}", ids[(viewer + step) % 4], 1_600_000_000 + 1000 * step + viewer]
                )
    with (folder / "items.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["item_id", "title"])
        writer.writerows(ITEMS.items())
    run(
        "fit",
        folder / "log.csv",
        "--items",
        folder / "items.csv",
        "-o",
        folder / "b",
        "--recommender",
        "ease",
    )
    return folder


def test_fit_says_what_it_did_and_what_to_try(place, tmp_path):
    words = ("fit", place / "log.csv", "-o", tmp_path / "b", "--recommender", "ease", "--set", "ridge=7")
    result = run(*words, "--json", tmp_path / "fit.json")
    assert "Fitted ease on everything: 120 events, 40 viewers, 4 items." in result.output
    assert "Settings: ridge=7.0, else the defaults." in result.output
    assert f"Next: matinee recommend {tmp_path / 'b'} --user 'u 0'" in result.output
    facts = json.loads((tmp_path / "fit.json").read_text())
    assert facts["settings"]["ridge"] == 7.0
    assert facts["recommender"] == "ease"
    assert not run(*words, "--quiet").output


def test_the_json_of_recommend_is_as_the_interface_says(place):
    found = json.loads(run("recommend", place / "b", "--user", "u 0", "-k", 2, "--json", "-").stdout)
    assert {"user", "source", "recommendation_id", "items"} <= set(found)
    assert (found["user"], found["source"]) == ("u 0", "ease")
    first = found["items"][0]
    assert set(first) == {"item", "title", "score", "reasons"}
    assert (first["item"], first["title"]) == ("ü é", "The Umlaut")
    assert first["reasons"][0].startswith("because you watched The ")


def test_people_read_titles_and_reasons(place):
    said = run("recommend", place / "b", "--user", "u 0", "-k", 1).output
    assert "The Umlaut" in said
    assert "because you watched The " in said
    said = run("recommend", place / "b", "--history", "a/b", "--history", "gone", "-k", 1).output
    assert "Not in the catalogue, left out: 1 item of the history." in said
    said = run("recommend", place / "b", "--user", "nobody knows", "-k", 1).output
    assert "fallback:popular" in said
    assert "popular now" in said


def test_what_is_ruled_out_stays_out(place, tmp_path):
    (tmp_path / "only").write_text("a/b\nü é\nnew\n", encoding="utf-8")
    words = ("recommend", place / "b", "--user", "u 0", "--json", "-")

    def items(*more):
        return [one["item"] for one in json.loads(run(*words, *more).stdout)["items"]]

    assert items() == ["ü é", "new"]
    assert items("--exclude", "ü é") == ["new"]
    assert set(items("--only", tmp_path / "only", "--repeats")) == {"a/b", "ü é", "new"}
    assert (
        "Nothing is left" in run("recommend", place / "b", "--user", "u 0", "--only", _one(tmp_path)).output
    )


def _one(folder):
    (folder / "one").write_text("a/b\n", encoding="utf-8")
    return folder / "one"


def test_tables_for_some_and_for_all(place, tmp_path):
    said = run("recommend", place / "b", "--all", "-o", tmp_path / "all.parquet", "-k", 1).output
    assert "40 viewers" in said
    assert pq.read_table(tmp_path / "all.parquet").num_rows == 40
    (tmp_path / "users").write_text("user\nu 3\nstranger\n")
    run("recommend", place / "b", "--users", tmp_path / "users", "-o", tmp_path / "some.csv", "-k", 1)
    with (tmp_path / "some.csv").open(newline="") as file:
        assert [row["user"] for row in csv.DictReader(file)] == ["u 3", "stranger"]


def test_fit_says_why_another_protocol_chose(place, tmp_path):
    words = ("fit", place / "log.csv", "-o", tmp_path / "b", "--recommender", "ease", "--json", "-")
    chosen = {"tried": {"ease": 0.5}, "chosen_by": "leave-one-out", "chosen_metric": "ndcg@10"}
    facts = {**json.loads(run(*words).stdout), **chosen}
    assert facts["chosen_by_because"] == ""
    assert "Chosen on validation (leave-one-out; NDCG@10): ease 0.5000." in list(_summary(facts, "a"))
    because = {"chosen_by_because": "because the time-split asks too few viewers"}
    said = "(leave-one-out, because the time-split asks too few viewers; NDCG@10)"
    assert said in " ".join(_summary({**facts, **because}, "a"))


def test_fit_says_how_a_network_was_trained_and_what_was_left_out(place, tmp_path):
    words = ("fit", place / "log.csv", "-o", tmp_path / "b", "--recommender", "ease", "--json", "-")
    facts = json.loads(run(*words).stdout)
    assert facts["trained"] is None
    assert not any(line.startswith("Trained") for line in _summary(facts, "a"))
    facts |= {"trained": {"passes": 1, "stopped_early": True, "validation": ["ndcg@10", 0.1712]}}
    facts |= {"left_out": ["Left out: blend, for a reason."], "all_dollars": 0.00042, "all_cpu_s": 12.34}
    facts |= {"all_wall_s": 3.52}
    said = list(_summary(facts, "a"))
    assert "Trained: 1 pass (more did not help), ndcg@10 .171 on events held back from it." in said
    assert "Left out: blend, for a reason." in said
    took = "; 3.5 s by the clock, $0.0004 of electricity;"
    assert any(line.startswith("Took 12.3 CPU-s, ") and took in line for line in said)


def test_settings_are_said_as_they_are_typed_and_only_where_they_differ():
    assert settings_words("ease", config_values(make_recommender("ease").config)) == "the defaults"
    given = {"sequential.times": "yes", "sequential.passes": "2", "partners": "ials", "weights": "1.5"}
    values = config_values(make_recommender("blend", given).config)
    said = settings_words("blend", values)
    assert said == "partners=ials, weights=1.5, sequential.times=true, sequential.passes=2, else the defaults"
    typed = dict(pair.split("=") for pair in said.removesuffix(", else the defaults").split(", "))
    assert config_values(make_recommender("blend", typed).config) == values


def test_the_name_of_a_recommender_may_stand_before_its_settings(place, tmp_path):
    words = ("fit", place / "log.csv", "-o", tmp_path / "b", "--recommender", "ease")
    assert "ridge=7.0" in run(*words, "--set", "ease.ridge=7").output
    assert own_settings("blend", {"blend.weights": "1", "ials.factors": "2"}) == {
        "weights": "1",
        "ials.factors": "2",
    }


@pytest.mark.parametrize(
    ("held_back", "weights", "words"),
    [
        (2000, (1.5, 0.5), "network x transitions^1.5 x ials^0.5, weights chosen on 2,000 events held back"),
        (0, (1.0, 1.0), "network x transitions^1 x ials^1, all weights 1, for no event was held back"),
        (None, (0.0, 3.0), "network x transitions^0 x ials^3, weights as they were set"),
    ],
)
def test_how_parts_were_joined_is_said(held_back, weights, words):
    joined = dict(zip(("sequential", "transitions", "ials"), (1.0, *weights), strict=True))
    assert joined_words({"weights": joined, "held_back": held_back}).startswith(words)


def test_weights_that_short_histories_have_for_themselves_are_said():
    joined = {"weights": {"sequential": 1.0, "ials": 0.5}, "held_back": 20, "short_below": 4}
    words = joined_words(joined)
    assert words.endswith("on 20 events held back; fewer than 4 events by weights of their own")


def test_closed_forms_are_said_to_be_added_up():
    joined = {"weights": {"ials": 1.0, "ease": 0.5}, "held_back": 1877}
    words = "ials + 0.5 ease, weights chosen on 1,877 events held back"
    assert joined_words(joined) == words


def test_a_device_that_is_not_here_is_refused_before_the_log_is_read(tmp_path):
    pytest.importorskip("torch")
    for command in (("fit", "-o", tmp_path / "b"), ("compare",)):
        words = [command[0], "no-such-log.csv", *command[1:], "--device", "abacus"]
        with pytest.raises(SettingsError, match="Unknown device 'abacus': known are auto, cpu, gpu, cuda"):
            run(*words)


def test_similar_names_the_nearest(place):
    found = json.loads(run("similar", place / "b", "--item", "a/b", "-k", 2, "--json", "-").stdout)
    assert (found["item"], found["title"], len(found["items"])) == ("a/b", "The Slash", 2)
    assert "Most like The Slash" in run("similar", place / "b", "--item", "a/b").output


def test_version_names_what_it_found():
    found = json.loads(run("version", "--json", "-").stdout)
    assert found["matinee"]
    assert found["numpy"]
    if found["torch"]:
        device, precision = found["device"].rsplit(", ", 1)
        assert device.startswith(("cpu", "cuda"))
        assert precision in {"float32", "bfloat16"}
    else:
        assert found["device"] is None


def test_version_says_why_torch_cannot_be_loaded(monkeypatch):
    monkeypatch.setattr("matinee.cli.version._version_of", lambda name: "9.9" if name == "torch" else None)
    monkeypatch.setitem(sys.modules, "matinee.train.device", None)
    found = json.loads(run("version", "--json", "-").stdout)
    assert found["device"].startswith("torch cannot be loaded: ")
    monkeypatch.setattr("matinee.cli.version._version_of", lambda _name: None)
    assert json.loads(run("version", "--json", "-").stdout)["device"] is None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "Say for whom"),
        (("--user", "a", "--all"), "Say for whom"),
        (("--user", "a", "--user", "b"), "--user was given 2 times, and one list is for one viewer"),
        (("--all",), "say where with -o"),
        (("--user", "a", "-o", "x.csv"), "-o is for the tables"),
        (("--all", "-o", "x.txt"), r"ends in .parquet or .csv"),
        (("--user", "a", "--now", "soon"), "--now expects a time"),
        (("--user", "a", "--only", "/no/such/file"), "--only /no/such/file: there is no such file"),
        (("--user", "a", "--only", "/"), "--only / is a folder"),
        (("--users", "", "-o", "x.csv"), "--users is an empty text"),
        (("--all", "-o", ""), "-o is an empty text"),
        (("--all", "-o", "x.csv", "--json", " "), "--json is an empty text"),
        (("--user", "a", "--json", "/"), "--json / is a folder"),
        (("--user", "  "), "--user was given a blank id"),
        (("--history", "a/b", "--history", ""), "--history was given a blank id"),
    ],
)
def test_unusable_calls_are_one_sentence(place, words, sentence):
    with pytest.raises((MatineeError, OSError), match=sentence):
        CliRunner().invoke(app, ["recommend", str(place / "b"), *words], catch_exceptions=False)


def test_a_list_of_ids_that_the_catalogue_lacks_is_refused(place, tmp_path):
    (tmp_path / "only").write_text("A/B\nU\n")
    with pytest.raises(InputError, match=r"None of the 2 ids of --only is in the catalogue of 5 items"):
        CliRunner().invoke(
            app,
            ["recommend", str(place / "b"), "--user", "u 0", "--only", str(tmp_path / "only")],
            catch_exceptions=False,
        )


def test_a_region_that_no_item_names_is_said(place, tmp_path):
    words = ("recommend", place / "b", "--user", "u 0", "-k", 1, "--region", "Nowhere")
    assert "No item's regions name 'Nowhere': none is limited to any." in run(*words).output
    table = "item_id,title,regions\na/b,The Slash,north|south\nnew,Nobody,\n"
    (tmp_path / "items.csv").write_text(table, encoding="utf-8")
    fitted = ("fit", place / "log.csv", "--items", tmp_path / "items.csv", "--recommender", "popularity")
    run(*fitted, "-o", tmp_path / "b")
    words = ("recommend", tmp_path / "b", "--user", "u 0", "--region")
    assert "No item's regions name 'Nowhere': they name north, south." in run(*words, "Nowhere").output
    said = run(*words, "north").output
    assert "No item's regions" not in said


def test_a_line_break_in_a_title_does_not_break_the_table():
    from rich.console import Console

    from matinee.cli.lists import one_line, table_of

    console = Console(width=100)
    with console.capture() as captured:
        console.print(table_of([{"item": "a\nb", "title": "x\x1b[2Jy", "score": 1.0}]))
    shown = captured.get()
    assert r"a\nb" in shown
    assert r"x\x1b[2Jy" in shown
    assert shown.count("\n") == 2
    assert one_line("Amélie 🧑‍🚀") == "Amélie 🧑‍🚀"


def test_a_seed_orders_what_ties_and_nothing_else(place):
    def items(*words):
        found = json.loads(run("recommend", place / "b", "--user", "nobody", *words, "--json", "-").stdout)
        return [one["item"] for one in found["items"]]

    orders = {tuple(items("--seed", seed)) for seed in range(6)}
    assert items() == items("--seed", 0)
    assert len(orders) > 1
    assert {order[-1] for order in orders} == {"new"}
    assert run("similar", place / "b", "--item", "a/b", "--seed", 3).output
    assert run("version", "--seed", 3).output


def test_nothing_is_like_the_only_item(tmp_path):
    (tmp_path / "log.csv").write_text("user,item\na,x\nb,x\n")
    run("fit", tmp_path / "log.csv", "-o", tmp_path / "b", "--recommender", "popularity")
    assert "Nothing is like x: no other item" in run("similar", tmp_path / "b", "--item", "x").output


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("fit", "/no/log", "-o", ""), "-o"),
        (("recommend", "", "--user", "a"), "BUNDLE"),
        (("similar", "", "--item", "a"), "BUNDLE"),
        (("evaluate", "", "/no/log"), "BUNDLE"),
        (("simulate", ""), "DIR"),
        (("demo", "--dir", ""), "--dir"),
    ],
)
def test_an_empty_text_is_no_folder(words, what):
    with pytest.raises(InputError, match=f"{what} is an empty text"):
        CliRunner().invoke(app, list(words), catch_exceptions=False)


def test_a_place_that_is_taken_is_refused_before_the_log_is_read(tmp_path):
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(InputError, match="is a file"):
        CliRunner().invoke(app, ["fit", "/no/log", "-o", str(tmp_path / "letter")], catch_exceptions=False)


def test_the_exit_status_of_a_broken_bundle_is_two(place, tmp_path):
    words = [sys.executable, "-m", "matinee", "recommend", str(tmp_path), "--user", "a"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("matinee: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
