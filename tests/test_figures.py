"""The page of figures is what the committed results say."""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_page_of_figures_is_written_from_the_results(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    spec = importlib.util.spec_from_file_location("figures", ROOT / "benchmarks/figures.py")
    figures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figures)
    assert (ROOT / "docs/figures.md").read_text(encoding="utf-8") == figures.page()


def test_every_result_says_where_it_comes_from():
    import json

    for path in (ROOT / "benchmarks/results").glob("*.json"):
        found = json.loads(path.read_text(encoding="utf-8"))
        parts = [found] if "command" in found else list(found.values())
        assert parts, path.name
        for part in parts:
            assert {"command", "machine", "versions", "commit"} <= set(part), path.name
