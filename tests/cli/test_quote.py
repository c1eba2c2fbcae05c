import json
from pathlib import Path

import pytest
from tests.cli.typed import typed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("quote")
    made = typed("simulate", "made", "--viewers", "200", "--items", "60", "--events", "2400", cwd=place)
    assert made.returncode == 0, made.stderr
    return place


def test_a_quote_is_said_and_written(folder: Path):
    run = typed("quote", "made/log.parquet", "--json", "quote.json", cwd=folder)
    assert run.returncode == 0, run.stderr
    facts = json.loads((folder / "quote.json").read_text())
    assert facts["here"]["fit"]["wall_s"]["likely"] > 0
    assert facts["here"]["study"]["trials"]["likely"] == 30
    assert {one["name"] for one in facts["machines"]} >= {"g6.xlarge"}
    assert facts["verdict"] in run.stdout
    assert "Don't rent: this machine finishes in" in run.stdout


def test_a_budget_and_prices_of_ones_own(folder: Path):
    (folder / "prices.toml").write_text('[[machine]]\nname = "shed"\nprice_per_hour = 0.01\n')
    run = typed(
        *("quote", "made/log.parquet", "--recommender", "ease", "--budget", "5usd", "--budget", "2min"),
        *("--prices", "prices.toml", "--json", "-"),
        cwd=folder,
    )
    assert run.returncode == 0, run.stderr
    facts = json.loads(run.stdout)
    assert facts["here"]["study"]["wall_s"]["likely"] == pytest.approx(120.0)
    assert [one["name"] for one in facts["machines"]] == ["shed"]
    assert facts["buying"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--budget", "much"), "Budget 'much': expected an amount"),
        (("--budget", "-3usd"), "Budget '-3usd'"),
        (("--recommender", "eese"), "did you mean 'ease'"),
        (("--prices", "none.toml"), "--prices none.toml: it cannot be read"),
        (("--prices", ""), "--prices is an empty text"),
        (("--json", "none/quote.json"), "there is no writable folder"),
    ],
)
def test_what_is_off_is_said_in_a_sentence(folder: Path, words: tuple[str, ...], said: str):
    run = typed("quote", "made/log.parquet", *words, cwd=folder)
    assert run.returncode == 2
    assert said in run.stderr
    assert run.stderr.startswith("matinee: ")


def test_a_log_that_is_not_there_is_named(folder: Path):
    run = typed("quote", "nowhere.csv", cwd=folder)
    assert run.returncode == 2
    assert "nowhere.csv" in run.stderr
