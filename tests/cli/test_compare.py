import json

import pytest
from typer.testing import CliRunner

from matinee.cli.app import app
from matinee.cli.compare import parse_lengths, parse_names, parse_settings
from matinee.core.errors import InputError, SettingsError


@pytest.fixture
def log(tmp_path):
    rows = ["user,item,timestamp"]
    rows += [
        f"u{v},i{(v + step) % 12},{1_000_000_000 + 1000 * step + v}" for v in range(40) for step in range(7)
    ]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def run(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_compare_prints_a_table_and_writes_json_and_report(log, tmp_path):
    report = tmp_path / "report.html"
    ran = run(
        "compare", log, "--protocol", "leave-one-out", "--recommenders", "popularity,item_knn",
        "--set", "item_knn.neighbours=5", "--at", "5", "--html", report, "--json", tmp_path / "board.json",
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    assert "ndcg@5" in ran.stdout
    assert "Too few to tell" in ran.stdout
    board = json.loads((tmp_path / "board.json").read_text())
    assert board["targets"] == 40
    assert board["recommenders"][1]["settings"]["neighbours"] == 5
    assert "<svg" in report.read_text()


def test_json_on_standard_output_stands_alone(log):
    ran = run("compare", log, "--protocol", "leave-one-out", "--recommenders", "popularity", "--json", "-")
    assert json.loads(ran.stdout)["protocol"] == "leave-one-out"
    assert "Too few" in ran.stderr


def test_evaluate_judges_a_bundle_that_was_held_out_and_refuses_one_that_was_not(log, tmp_path):
    held, open_ = tmp_path / "held", tmp_path / "open"
    fitted = ("fit", log, "--recommender", "popularity")
    assert run(*fitted, "-o", held, "--hold-out", "leave-one-out").exit_code == 0
    assert run(*fitted, "-o", open_).exit_code == 0
    ran = run("evaluate", held, log, "--json", tmp_path / "board.json")
    assert ran.exit_code == 0, ran.output
    assert json.loads((tmp_path / "board.json").read_text())["recommenders"][0]["name"] == "popularity"
    assert "Leave-one-out, the bundle's own split: each viewer's last" in " ".join(ran.output.split())
    assert "chosen on validation" not in " ".join(ran.output.split())
    assert "popularity *" not in ran.output
    asked = run("evaluate", held, log, "--protocol", "leave-one-out").output
    assert "Leave-one-out, as asked" in asked
    again = json.loads(run("evaluate", held, log, "--json", "-", "--seed", 7).stdout)
    first = json.loads((tmp_path / "board.json").read_text())
    one, other = (board["recommenders"][0]["metrics"]["ndcg@10"] for board in (first, again))
    assert one["mean"] == other["mean"]
    assert (one["low"], one["high"]) != (other["low"], other["high"])
    refused = run("evaluate", open_, log)
    assert isinstance(refused.exception, InputError)
    assert refused.exception.exit_status == 2


def test_what_was_typed_becomes_settings():
    assert parse_settings(["ease.ridge=250", "ease.decay=.9", "ials.factors=8"]) == {
        "ease": {"ridge": "250", "decay": ".9"},
        "ials": {"factors": "8"},
    }
    assert parse_lengths("10, 20,10") == (10, 20)
    assert parse_names("a, b,") == ["a", "b"]
    assert parse_names(None) is None


@pytest.mark.parametrize("words", ["", "0", "ten", "10,-5", "5000"])
def test_lengths_that_are_none_are_refused(words):
    with pytest.raises(SettingsError, match="--at"):
        parse_lengths(words)


@pytest.mark.parametrize("words", ["ridge=250", "ease.ridge", ".x=1", "ease.=1"])
def test_settings_without_a_name_are_refused(words):
    with pytest.raises(SettingsError, match=r"name\.key=value"):
        parse_settings([words])


def test_a_report_without_a_folder_is_refused_before_the_work(log, tmp_path):
    ran = run("compare", log, "--html", tmp_path / "no" / "report.html")
    assert isinstance(ran.exception, InputError)
    assert "--html" in str(ran.exception)
    for option in ("--html", "--json"):
        for path, words in ((tmp_path, "is a folder"), ("", "is an empty text")):
            ran = run("compare", tmp_path / "no log", option, path)
            assert isinstance(ran.exception, InputError)
            assert f"{option} " in str(ran.exception)
            assert words in str(ran.exception)
