"""Several processes train as one would: the same losses and weights, whatever the shares come to."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402
from tests.train import two  # noqa: E402

from matinee.core.errors import SettingsError  # noqa: E402
from matinee.core.processes import ALONE, Processes, processes_here  # noqa: E402
from matinee.core.run import Run  # noqa: E402
from matinee.train.batches import Share  # noqa: E402
from matinee.train.device import own_gpu  # noqa: E402
from matinee.train.processes import share_of  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 300


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What two processes came to, what one did, and what the first of two said when it lost the other."""
    both, one = tmp_path_factory.mktemp("both"), tmp_path_factory.mktemp("one")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        two.tell_all(one)
        # Each goes on from what the others have left when they were stopped.
        (one / "checkpoints").rename(both / "theirs")
        said, took_s = _run_two(both)
        (both / "checkpoints").rename(one / "theirs")
        gone_on = two.rows_story(
            Run(device="cpu", precision="float32", checkpoints=one / "theirs"),
        )
        two.write(one, "gone on", gone_on)
    finally:
        torch.set_num_threads(threads)
    return both, one, said, took_s


def _run_two(folder):
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    about = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    environment = {
        **os.environ,
        **about,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
    }
    started = [
        subprocess.Popen(
            [sys.executable, two.__file__, str(folder)],
            env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        started[1].communicate(timeout=WITHIN_S)
        begin = time.monotonic()
        said, complaints = started[0].communicate(timeout=WITHIN_S)
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert started[0].returncode == 0, complaints
    return said, time.monotonic() - begin


@pytest.mark.parametrize("story", ["rows", "early", *two.READINGS, "gone on"])
def test_two_processes_come_to_what_one_does(told, story):
    both, one, _, _ = told
    found, wanted = (json.loads((folder / f"{story}.json").read_text()) for folder in (both, one))
    assert len(found["curve"]) == len(wanted["curve"])
    assert found["early"] == wanted["early"] == (story == "early")
    for (loss, value, predictions), (other, other_value, other_predictions) in zip(
        found["curve"], wanted["curve"], strict=True
    ):
        assert loss == pytest.approx(other, rel=1e-5)
        assert value == other_value
        assert predictions == other_predictions
    weights = [load_file(folder / f"{story}.safetensors") for folder in (both, one)]
    for name, tensor in weights[1].items():
        # What keys add to every logit alike teaches nothing: their bias moves by rounding alone.
        if not name.endswith("attention.into.bias"):
            torch.testing.assert_close(weights[0][name], tensor, atol=1e-5, rtol=1e-4)


def test_a_run_goes_on_with_another_number_of_processes(told):
    for folder in told[:2]:
        whole, gone_on = (load_file(folder / f"{name}.safetensors") for name in ("rows", "gone on"))
        for name, tensor in whole.items():
            torch.testing.assert_close(gone_on[name], tensor, atol=1e-5, rtol=1e-4)


def test_a_process_that_dies_ends_the_other_with_a_sentence(told):
    _, _, said, took_s = told
    assert "Another of the 2 processes that train together is gone" in said
    assert "--resume" in said
    assert took_s < 60


def test_shares_of_a_batch_are_all_of_it_and_weigh_what_they_teach():
    random = np.random.default_rng(0)
    for histories, size in ((7, 2), (1, 3), (5, 5), (2, 4)):
        owners = np.sort(random.integers(0, histories, 20))
        weights = random.random(20).astype(np.float32)
        for counts in (None, weights):
            shares = [
                Share.of(histories, owners, counts, Processes(rank=rank, size=size, local_size=1))
                for rank in range(size)
            ]
            taken = [share for share in shares if share.weight]
            rows = np.concatenate([np.arange(histories)[share.rows] for share in shares[:histories]])
            assert sorted(rows) == list(range(histories))
            assert all(len(np.arange(histories)[share.rows]) for share in shares)
            assert sum(share.weight for share in shares) == pytest.approx(1.0)
            for share in taken:
                mine = share.mine(owners)
                count = mine.sum() / 20 if counts is None else counts[mine].sum() / counts.sum()
                assert share.weight == pytest.approx(float(count), rel=1e-5)
                assert share.predictions == 20


def test_whole_batches_are_not_trained_on_together():
    with pytest.raises(ValueError, match="batches come whole"):
        share_of(two.Rows(items=torch.zeros(1), after=torch.zeros(1), wanted=torch.zeros(1)))


def test_the_environment_says_which_process_this_is():
    told = {"MASTER_ADDR": "here", "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    assert processes_here(told) == Processes(rank=3, size=4, local_rank=1, local_size=2)
    assert processes_here({}) == processes_here({**told, "WORLD_SIZE": "1"}) == ALONE
    with pytest.raises(SettingsError, match=r"not which this is \(RANK=4, WORLD_SIZE=4"):
        processes_here({**told, "RANK": "4"})
    # Each would fit alone, and write over what the others wrote.
    with pytest.raises(SettingsError, match="MASTER_ADDR is not set"):
        processes_here({key: word for key, word in told.items() if key != "MASTER_ADDR"})
    with pytest.raises(SettingsError, match="start them with torchrun"):
        processes_here({"MASTER_ADDR": "here", "WORLD_SIZE": "two"})


def test_each_process_has_a_gpu_of_its_own():
    second = Processes(rank=1, size=2, local_rank=1, local_size=2)
    assert own_gpu(torch.device("cuda"), second, 2) == torch.device("cuda", 1)
    with pytest.raises(SettingsError, match=r"2 processes .* with 1 GPU"):
        own_gpu(torch.device("cuda"), second, 1)
    with pytest.raises(SettingsError, match="take --device gpu"):
        own_gpu(torch.device("cuda:0"), second, 2)
    far = Processes(rank=1, size=2, local_rank=0, local_size=1)
    assert own_gpu(torch.device("cuda:3"), far, 4) == torch.device("cuda", 3)
