"""A network whose fit is killed and gone on with: the very weights of a fit that nobody disturbed."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("torch")

WITHIN_S = 800
# A run is exact on one thread.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
SMALL = ("width=16", "layers=1", "decays=0.9", "passes=10", "batch_events=128", "patience=0")


@pytest.fixture
def shop(tmp_path):
    random = np.random.default_rng(0)
    rows = ["user,item,timestamp"]
    for viewer in range(300):
        items = (random.integers(40) + np.cumsum(random.choice([1, 1, 1, 2, 5], 15))) % 40
        rows += [f"u{viewer},i{item},{10**9 + 1000 * step + viewer}" for step, item in enumerate(items)]
    (tmp_path / "log.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def fit(shop, bundle, *words):
    settings = [word for one in SMALL for word in ("--set", f"sequential.{one}")]
    program = [sys.executable, "-m", "matinee", "fit", "log.csv", "-o", bundle, "--recommender", "blend"]
    environment = {**os.environ, **ONE_THREAD, "MATINEE_CACHE": str(shop / "cache")}
    return subprocess.Popen(
        [*program, *settings, *words, "--json", f"{bundle}.json"],
        cwd=shop,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process):
    complaints = process.communicate(timeout=WITHIN_S)[1]
    assert process.returncode == 0, complaints


def break_off(process, how, ready):
    """Send a signal to a fit once it is so far."""
    limit = time.monotonic() + WITHIN_S
    while not ready() and process.poll() is None:
        assert time.monotonic() < limit, "it never came so far"
        time.sleep(0.005)
    assert process.poll() is None, process.communicate()[1]
    os.kill(process.pid, how)
    process.communicate(timeout=WITHIN_S)


def steps_kept(shop):
    """Steps in the newest checkpoint; 0 where there is none."""
    states = [json.loads(path.read_text()) for path in shop.glob("b.unfinished/final/*/*/state.json")]
    return max((state["facts"]["steps"] for state in states), default=0)


def share_told(shop):
    path = shop / "b.unfinished" / "final.step.json"
    return json.loads(path.read_text())["share"] if path.exists() else 0.0


def test_a_blend_stopped_once_and_killed_once_ends_with_the_very_same_weights(shop):
    break_off(fit(shop, "b"), signal.SIGTERM, lambda: share_told(shop) > 0.1)
    before = steps_kept(shop)
    assert before > 0
    (shop / "b.unfinished" / "final.step.json").unlink()
    break_off(fit(shop, "b", "--resume"), signal.SIGKILL, lambda: share_told(shop) > 0)
    assert steps_kept(shop) == before
    assert not (shop / "b").exists()
    finished(fit(shop, "b", "--resume"))
    finished(fit(shop, "whole"))
    found, whole = (
        {path.parent.name: path.read_bytes() for path in (shop / name).glob("parts/*/weights.safetensors")}
        for name in ("b", "whole")
    )
    assert set(found) >= {"blend", "sequential", "transitions"}
    assert found == whole
    facts = json.loads((shop / "b.json").read_text())
    assert facts["trained"]["passes"] == 10
    assert 0 < facts["trained"]["validation"][1] <= 1
    assert not (shop / "b.unfinished").exists()
