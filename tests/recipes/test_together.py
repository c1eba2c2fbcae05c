"""A fit in two processes, as torchrun starts them: stopped, gone on with, bereft of one, and refused."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from safetensors.numpy import load_file

WITHIN_S = 800
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
SMALL = ("width=8", "layers=1", "decays=0.9", "passes=8", "batch_events=256", "patience=0")
FIT = [
    *("--recommender", "sequential", "--precision", "fp32", "--device", "cpu", "--seed", "1"),
    *(word for one in SMALL for word in ("--set", one)),
]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]


@pytest.fixture
def shop(tmp_path):
    write_log(tmp_path / "log.csv", seed=0)
    return tmp_path


def write_log(path, seed):
    random = np.random.default_rng(seed)
    rows = ["user,item,timestamp"]
    for viewer in range(200):
        items = (random.integers(30) + np.cumsum(random.choice([1, 1, 1, 2, 5], 15))) % 30
        rows += [f"u{viewer},i{item},{10**9 + 1000 * step + viewer}" for step, item in enumerate(items)]
    path.write_text("\n".join(rows) + "\n")


def started(folder, *words, by=(sys.executable,), log="log.csv", **told):
    environment = {**os.environ, **ONE_THREAD, "MATINEE_CACHE": str(folder / "cache"), **told}
    return subprocess.Popen(
        [*by, "-m", "matinee", "fit", log, *FIT, *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def pair(folder, *words, logs=("log.csv", "log.csv")):
    """Two processes without torchrun, which tells them no more than these variables."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = str(place.getsockname()[1])
    about = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    both = [
        started(folder, *words, log=log, **about, RANK=str(rank), LOCAL_RANK=str(rank))
        for rank, log in enumerate(logs)
    ]
    try:
        said = [process.communicate(timeout=WITHIN_S) for process in both]
    finally:
        for process in both:
            process.kill()
            process.wait()
    return [(process.returncode, *words) for process, words in zip(both, said, strict=True)]


def wait_for_share(shop, process, share):
    """Until a fit says that so much of it is done."""
    path, limit = shop / "b.unfinished" / "final.step.json", time.monotonic() + WITHIN_S
    while not path.exists() or json.loads(path.read_text())["share"] < share:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < limit, "it never came so far"
        time.sleep(0.005)


def sentences(said):
    """What matinee said, and not torchrun or Python."""
    return re.findall(r"^matinee: (.*)$", said, re.MULTILINE)


def second_of(torchrun):
    """The process of rank 1."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            told = (entry / "environ").read_bytes().split(b"\0")
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError):
            continue
        if parent == torchrun and b"RANK=1" in told:
            return int(entry.name)
    raise AssertionError("there is no second process")


@pytest.mark.long
def test_a_fit_of_two_that_was_stopped_goes_on_and_ends_as_that_of_one(shop):
    process = started(shop, "-o", "b", by=TORCHRUN)
    wait_for_share(shop, process, 0.1)
    process.send_signal(signal.SIGTERM)
    _, complaints = process.communicate(timeout=WITHIN_S)
    assert process.returncode != 0
    assert len(sentences(complaints)) == 1, complaints
    assert re.search(
        r"is kept in .*b\.unfinished\. To go on: torchrun \.\.\. -m matinee fit .* --resume", complaints
    )
    steps = [
        json.loads(p.read_text())["facts"]["steps"] for p in shop.glob("b.unfinished/final/*/*/state.json")
    ]
    assert max(steps) > 0
    assert not (shop / "b").exists()

    first, second = pair(shop, "-o", "b", "--resume", "--json", "b.json")
    assert (first[0], second[0]) == (0, 0), (first, second)
    assert second[1:] == ("", "")
    assert json.loads((shop / "b.json").read_text())["trained"]["passes"] == 8
    assert not (shop / "b.unfinished").exists()
    whole = started(shop, "-o", "one")
    complaints = whole.communicate(timeout=WITHIN_S)[1]
    assert whole.returncode == 0, complaints
    found, wanted = (load_file(shop / name / "parts/sequential/weights.safetensors") for name in ("b", "one"))
    for name, weights in wanted.items():
        # The bias of keys teaches nothing and moves by rounding alone.
        if not name.endswith("attention.into.bias"):
            np.testing.assert_allclose(found[name], weights, atol=1e-4, err_msg=name)
    answer = subprocess.run(
        [sys.executable, "-m", "matinee", "recommend", "b", "--user", "u3", "--json", "-"],
        cwd=shop,
        check=True,
        capture_output=True,
        text=True,
    )
    assert len(json.loads(answer.stdout)["items"]) == 10


def test_a_fit_whose_second_process_is_killed_ends_with_a_sentence_and_leaves_no_bundle(shop):
    process = started(shop, "-o", "b", by=TORCHRUN)
    wait_for_share(shop, process, 0.1)
    os.kill(second_of(process.pid), signal.SIGKILL)
    begin = time.monotonic()
    _, complaints = process.communicate(timeout=WITHIN_S)
    # torchrun itself waits for half a minute before it kills what does not end.
    assert time.monotonic() - begin < 25
    assert process.returncode != 0
    assert len(sentences(complaints)) == 1, complaints
    assert not (shop / "b").exists()


def test_processes_that_read_different_logs_are_told_apart(shop):
    write_log(shop / "other.csv", seed=1)
    first, second = pair(shop, "-o", "b", logs=("log.csv", "other.csv"))
    assert first[0] == 1
    assert re.search(r"matinee: Process 2 of 2: It is about to train something else than the first", first[2])
    assert second[0] == 1
    assert not sentences(second[2])
    assert not (shop / "b").exists()


def test_what_is_wrong_with_a_log_is_said_once(shop):
    first, second = pair(shop, "-o", "b", logs=("none.csv", "none.csv"))
    assert first[0] == 2
    assert len(sentences(first[2])) == 1
    assert not sentences(second[2])


@pytest.mark.parametrize(("rank", "said"), [("0", True), ("1", False)])
def test_what_one_process_is_to_do_is_refused_to_several(tmp_path, rank, said):
    told = {"RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}
    asked = subprocess.run(
        [sys.executable, "-m", "matinee", "compare", "log.csv"],
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 2
    assert ("matinee compare is for one process, found 2: start it without torchrun." in asked.stderr) == said
