"""benchmarks/scale.py at a small size: every step, what it says of it, and its section of the figures."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
WORDS = ["--viewers", "800", "--items", "300", "--events", "8000", "--passes", "1", "--lists", "300"]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scale")
    words = [sys.executable, str(BENCHMARKS / "scale.py"), *WORDS, "--dir", str(folder), "--output", "-"]
    told = subprocess.run(words, capture_output=True, text=True, check=True, env=dict(os.environ))
    again = subprocess.run(words, capture_output=True, text=True, check=True, env=dict(os.environ))
    first, second = json.loads(told.stdout), json.loads(again.stdout)
    assert first == second  # what lies there is not made again
    return first


def test_every_step_says_what_it_took(found):
    for name in ("simulate", "check", "fit", "quality", "recommend"):
        assert found[name]["cpu_s"] > 0.0
        assert found[name]["peak_bytes"] > 10 * 2**20
    phases = found["fit"]["phases"]
    assert {"network", "transitions", "ials", "weights", "blend", "bundle"} <= set(phases)
    assert (
        sum(phases[name]["cpu_s"] for name in ("network", "transitions", "ials")) < phases["blend"]["cpu_s"]
    )
    assert all(phase["peak_bytes"] >= phase["before_bytes"] for phase in phases.values())
    assert found["peak_bytes"] == max(found[name]["peak_bytes"] for name in ("fit", "recommend", "simulate"))


def test_what_was_cut_short_is_said_and_reckoned_on(found):
    assert found["cut_short"]
    assert found["passes_made"] == 1
    assert found["network_cpu_s_were_all_passes_made"] > 6 * found["fit"]["phases"]["network"]["cpu_s"]
    written = found["recommend"]
    assert written["lists"] == 300
    assert written["rows"] == 3000
    assert written["all_cpu_s"] == pytest.approx(written["lists_cpu_s"] * 800 / 300)


def test_the_blend_ranks_what_it_never_saw_better_than_what_is_popular(found):
    held = found["quality"]
    assert held["asked"] > 100
    assert held["blend"]["ndcg@10"]["low"] > held["popularity"]["ndcg@10"]["high"]
    assert held["blend"]["recall@10"]["mean"] >= held["blend"]["ndcg@10"]["mean"]


def test_its_section_says_so(found, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import scale_figures

    text = "\n".join(scale_figures.scale_lines(found))
    assert "800 viewers, 300 items, 8,000 events" in text
    assert "extrapolated" in text
    assert list(scale_figures.scale_lines(None)) == []
