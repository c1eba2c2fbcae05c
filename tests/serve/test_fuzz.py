"""Schemathesis, with all of its checks, at the real application behind a real server."""

from pathlib import Path

import pytest
from tests.serve.web_world import world

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.mark.timeout(900)
def test_no_5xx_and_no_violation_is_accepted(tmp_path):
    from serve_fuzz import fuzz

    with world(tmp_path, locked=True) as net:
        key = net.do(net.keys.make("fuzz", ["admin"]))[1]
        with net.on_a_port() as address:
            found = fuzz(address, key, per_operation=8, phases="examples,fuzzing,stateful")
    assert found["passed"], found["words"][-6000:]
    assert found["cases"] > 200


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_ten_thousand_cases_are_answered_as_described():
    from serve_fuzz import measured

    found = measured(10_000, seed=1)
    assert found["passed"], found["words"]
