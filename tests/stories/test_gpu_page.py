import json
import os
import subprocess
import sys

import pytest
from tests.stories.pages import ROOT, WITHIN_S, run_page

pytest.importorskip("torch", reason="needs torch: pip install 'matinee[network]'")


@pytest.mark.timeout(WITHIN_S)
def test_every_command_of_the_page_runs(tmp_path):
    run_page("docs/gpu.md", tmp_path)


@pytest.mark.long
@pytest.mark.timeout(WITHIN_S)
def test_the_program_that_measures_runs_on_a_cpu(tmp_path):
    """The same program that measures a GPU, on sizes that a CPU is done with in seconds."""
    program = [sys.executable, ROOT / "benchmarks/gpu_train.py", "--device", "cpu", "--items", "500"]
    small = ["--widths", "16", "--batch-events", "256", "--steps", "2", "--out", tmp_path]
    where = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    subprocess.run([*program, *small], check=True, env=where, capture_output=True)
    found = json.loads((tmp_path / "gpu_train.json").read_text())
    (row,) = found["rows"]
    assert row["parts_ms"].keys() == {"data", "blocks", "attention", "loss", "optimiser"}
    for share in ("share_of_products", "share_of_copy"):
        assert row[share] > 0.0
    assert found["limits"].keys() == {"float32_tflops", "bfloat16_tflops", "copy_gb_per_s"}
    assert row["recorded"] is False
