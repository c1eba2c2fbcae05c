"""`matinee simulate` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from matinee.cli.app import app
from matinee.core.errors import SettingsError

SIZES = ["--viewers", "60", "--items", "40", "--events", "400", "--seed", "3"]


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["simulate", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_a_service(tmp_path: Path) -> None:
    said = run(str(tmp_path / "made"), *SIZES, "--predictability", ".9", "--json", str(tmp_path / "truth"))
    names = {path.name for path in (tmp_path / "made").iterdir()}
    assert names == {"log.parquet", "items.parquet", "viewers.parquet", "friends.parquet", "truth.json"}
    truth = json.loads((tmp_path / "truth").read_text())
    assert truth == json.loads((tmp_path / "made" / "truth.json").read_text())
    assert truth["options"]["predictability"] == 0.9
    assert f"{truth['best_possible']['leave-one-out']['recall@10']:.3f}" in said


def test_a_shop(tmp_path: Path) -> None:
    truth = json.loads(run(str(tmp_path), *SIZES, "--shop", "--quiet", "--json", "-"))
    assert {path.name for path in tmp_path.iterdir()} == {"log.csv", "items.csv", "aliases.csv", "truth.json"}
    assert truth["planted"]["bot_rows"] > 0


def test_what_cannot_be_made_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="predictability must be between 0 and 1, found 7"):
        CliRunner().invoke(app, ["simulate", str(tmp_path), "--predictability", "7"], catch_exceptions=False)
    assert not list(tmp_path.iterdir())
