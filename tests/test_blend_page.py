"""The page of joins is what the committed result says."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_page_of_joins_is_written_from_the_result(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from join.page import page

    result = json.loads((ROOT / "benchmarks/results/blend.json").read_text(encoding="utf-8"))
    assert "joins" in result
    assert (ROOT / "docs/blend.md").read_text(encoding="utf-8") == page(result)
