"""A run that was stopped, killed or torn goes on, and ends with the very weights of one that never was."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.train.small import NextItem, loss_of, made_passes, share_right

from matinee.core.errors import InputError, Stopped, TooLarge
from matinee.core.run import Run, Step
from matinee.train import checkpoint, progress
from matinee.train.checkpoint import Checkpoints, newest_checkpoint, require_disk, write_checkpoint
from matinee.train.interrupt import Interrupts
from matinee.train.loop import Trained, train
from matinee.train.plan import Plan
from matinee.train.preflight import preflight
from matinee.train.state import Snapshot, begin, snapshot

PLAN = Plan(passes=3, warmup=3, rate=0.02, average=0.9, seed=3)
SMALL = Path(__file__).parent / "small.py"


def fitted(run: Run = Run(), loss=loss_of, plan: Plan = PLAN, key: str = "") -> Trained:  # noqa: B008
    return train(NextItem(), loss, made_passes(), plan, run, share_right, key=key)


def same(one: Trained, two: Trained) -> None:
    assert one.best.keys() == two.best.keys()
    for name, weights in one.best.items():
        assert torch.equal(weights, two.best[name]), name
    assert one.predictions == two.predictions
    assert [(p.loss, p.validation) for p in one.curve] == [(p.loss, p.validation) for p in two.curve]


def kept(folder: Path, every_s: float = 0.0, **named) -> Run:
    return Run(device="cpu", checkpoints=folder, checkpoint_every_s=every_s, **named)


def checkpoints_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/[0-9]*"))


def test_checkpoints_change_nothing(tmp_path):
    same(fitted(kept(tmp_path)), fitted())
    assert len(checkpoints_in(tmp_path)) == 2
    assert {path.suffix for one in checkpoints_in(tmp_path) for path in one.iterdir()} == {
        ".safetensors",
        ".json",
    }


@pytest.mark.parametrize("steps", [0, 1, 5, 6, 7, 13])
def test_asked_to_stop_it_stops_and_goes_on(tmp_path, steps):
    asked = iter([False] * steps + [True])
    with pytest.raises(
        Stopped, match=rf"Training stopped in pass {steps // 6 + 1} of 3 and was saved: .* goes on"
    ):
        fitted(kept(tmp_path, 1000.0, should_stop=lambda: next(asked)))
    same(fitted(kept(tmp_path)), fitted())


@pytest.mark.parametrize("steps", [7, 13])
def test_gone_on_with_it_knows_its_best_and_how_long_that_was_ago(tmp_path, steps):
    """The first pass is the best, so patience ends after the third, of the first one's weights."""

    def run_of(run):
        plan = replace(PLAN, passes=6, patience=2)
        return train(NextItem(), loss_of, made_passes(), plan, run, lambda network: -network.calls.item())

    asked = iter([False] * steps + [True])
    with pytest.raises(Stopped):
        run_of(kept(tmp_path, 1000.0, should_stop=lambda: next(asked)))
    done = run_of(kept(tmp_path))
    same(done, run_of(Run()))
    assert done.validation == -6
    assert len(done.curve) == 3


def test_gone_on_with_in_the_middle_of_a_pass_its_end_is_told_by_this_runs_pace(tmp_path, monkeypatch):
    asked = iter([False] * 5 + [True])
    with pytest.raises(Stopped):
        fitted(kept(tmp_path, 1000.0, should_stop=lambda: next(asked)))
    told: list[Step] = []
    monkeypatch.setattr(progress, "_EVERY_S", 0.0)
    # A clock by which a step takes ten seconds, and nothing else takes any.
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    def slow(network, batch):
        now[0] += 10.0
        return loss_of(network, batch)

    fitted(kept(tmp_path, 1000.0, tell=told.append), slow)
    # One step ends the first of three passes; 12 of 10 seconds each are left.
    left = {round(step.share, 3): step.left_s for step in told}
    assert left[0.333] in (None, pytest.approx(120.0))
    assert left[0.667] == pytest.approx(60.0)
    assert told[-1].left_s == 0.0


def test_without_a_folder_it_says_that_nothing_was_kept():
    with pytest.raises(Stopped, match=r"nothing of it was kept: give a checkpoint folder"):
        fitted(Run(should_stop=lambda: True))


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def insist() -> None:
    ctrl_c()
    time.sleep(0.01)
    ctrl_c()


def fail() -> None:
    raise RuntimeError


@pytest.mark.parametrize(
    ("disturb", "error", "every_s", "left"),
    [
        (ctrl_c, KeyboardInterrupt, 1000.0, {9}),
        (insist, KeyboardInterrupt, 1000.0, {18}),
        (insist, KeyboardInterrupt, 0.0, set(range(10, 18))),
        (fail, RuntimeError, 0.0, set(range(10, 18))),
    ],
)
def test_disturbed_inside_a_batch_it_goes_on(tmp_path, disturb, error, every_s, left):
    calls = []

    def disturbed(network, batch):
        found = loss_of(network, batch)
        calls.append(1)
        if len(calls) == 9:
            disturb()
        return found

    with pytest.raises(error):
        fitted(kept(tmp_path, every_s), disturbed)
    resumed = []

    def counted(network, batch):
        resumed.append(1)
        return loss_of(network, batch)

    same(fitted(kept(tmp_path), counted), fitted())
    assert len(resumed) in left


def test_ctrl_c_in_a_validation_comes_at_once_and_the_pass_is_saved(tmp_path):
    values = iter([0.0, 0.1])

    def validate(network):
        try:
            return next(values)
        except StopIteration:
            ctrl_c()
            time.sleep(10)
            raise AssertionError from None

    with pytest.raises(KeyboardInterrupt, match=r"stopped in pass 2 of 3 and was saved"):
        train(NextItem(), loss_of, made_passes(), PLAN, kept(tmp_path, 1000.0), validate)
    facts = json.loads((checkpoints_in(tmp_path)[-1] / "state.json").read_text())["facts"]
    assert (facts["epoch"], facts["step"]) == (1, 6)


def test_a_finished_run_is_not_trained_again(tmp_path):
    first = fitted(kept(tmp_path))

    def never(network, batch):
        raise AssertionError

    same(fitted(kept(tmp_path), never), first)


KILLED = """
import os, random, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
from safetensors.torch import save_file
from small import NextItem, loss_of, made_passes, share_right
from matinee.core.run import Run
from matinee.train.loop import train
from matinee.train.plan import Plan

plan = Plan(passes=30, warmup=3, rate=0.02, average=0.9, seed=3)
run = Run(device="cpu", checkpoints=Path(sys.argv[2]), checkpoint_every_s=0.0)
moments, killed = random.Random(1), 0
for attempt in range(100):
    child = os.fork()
    if not child:
        done = train(NextItem(), loss_of, made_passes(), plan, run, share_right)
        save_file(done.best, sys.argv[3])
        assert "torch._dynamo" not in sys.modules, "torch's compiler was loaded: two seconds and 70 MB"
        os._exit(0)
    if killed < 6:
        time.sleep(moments.uniform(0.02, 0.2))
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    killed += status == signal.SIGKILL
    if not status:
        break
print(killed)
"""


def test_killed_at_any_moment_it_goes_on(tmp_path):
    arguments = [SMALL.parent, tmp_path / "kept", tmp_path / "out"]
    program = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert program.returncode == 0, program.stderr
    assert int(program.stdout) >= 3
    found, expected = load_file(tmp_path / "out"), fitted(plan=replace(PLAN, passes=30)).best
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("harm", ["torn", "altered", "no numbers", "empty"])
def test_a_harmed_checkpoint_is_passed_over_and_said_so(tmp_path, harm):
    asked = iter([False] * 9 + [True])
    with pytest.raises(Stopped):
        fitted(kept(tmp_path, should_stop=lambda: next(asked)))
    newest = checkpoints_in(tmp_path)[-1]
    tensors = newest / "state.safetensors"
    raw = tensors.read_bytes()
    if harm == "torn":
        tensors.write_bytes(raw[: len(raw) // 2])
    elif harm == "altered":
        tensors.write_bytes(raw[:-5] + bytes([raw[-5] ^ 1]) + raw[-4:])
    elif harm == "no numbers":
        (newest / "state.json").write_text("{")
    else:
        shutil.rmtree(newest)
        newest.mkdir()
    told: list[Step] = []
    done = fitted(kept(tmp_path, tell=told.append))
    same(done, fitted())
    assert f"Checkpoint {newest} is torn or altered" in told[0].doing
    assert done.notes == (told[0].doing,)


def test_where_all_are_harmed_training_starts_anew(tmp_path):
    fitted(kept(tmp_path))
    for path in checkpoints_in(tmp_path):
        (path / "state.json").unlink()
    done = fitted(kept(tmp_path))
    same(done, fitted())
    assert done.notes[-1].endswith("training starts anew.")


def test_another_fit_is_never_gone_on_with(tmp_path):
    fitted(kept(tmp_path))
    calls = []

    def counted(network, batch):
        calls.append(1)
        return loss_of(network, batch)

    fitted(kept(tmp_path), counted, replace(PLAN, rate=0.01))
    fitted(kept(tmp_path), counted, key="other data")
    assert len(calls) == 2 * 18
    assert len({path.parent for path in checkpoints_in(tmp_path)}) == 3


def test_a_draft_of_a_killed_run_is_in_nobodys_way(tmp_path):
    taken = snapshot(begin(NextItem(), PLAN, {"cpu": torch.get_rng_state()}))
    (tmp_path / "draft").mkdir()
    (tmp_path / "draft/state.json").write_text("{")
    assert write_checkpoint(tmp_path, taken).name == "000001"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000001"]


def test_a_checkpoint_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    plain, synced = os.fsync, []

    def watched(opened):
        synced.append((os.fstat(opened).st_ino, sorted(path.name for path in tmp_path.iterdir())))
        plain(opened)

    monkeypatch.setattr(os, "fsync", watched)
    taken = snapshot(begin(NextItem(), PLAN, {"cpu": torch.get_rng_state()}))
    final = write_checkpoint(tmp_path, taken)
    before = {number for number, names in synced if names == ["draft"]}
    assert before == {path.stat().st_ino for path in (final, *final.iterdir())}
    assert synced[-1] == (tmp_path.stat().st_ino, [final.name])


def test_the_background_writes_one_at_a_time_and_training_goes_on(tmp_path, monkeypatch):
    taken, gate, written = Snapshot(tensors={}, facts={}), threading.Event(), []

    def slow(folder, snapshot_):
        gate.wait(10)
        written.append(folder)
        return folder

    monkeypatch.setattr(checkpoint, "write_checkpoint", slow)
    with Checkpoints(tmp_path, 0.0) as kept_here:
        for _ in range(5):
            kept_here.save_if_due(lambda: taken)
        assert not written
        gate.set()
        kept_here.save(lambda: taken)
    assert len(written) == 2


def test_an_error_of_the_background_comes_out(tmp_path):
    def spoilt(network, batch):
        shutil.rmtree(tmp_path / "kept", ignore_errors=True)
        (tmp_path / "kept").write_text("a file where the folder was")
        return loss_of(network, batch)

    with pytest.raises(
        InputError, match=r"No checkpoint could be written to .*Free the disk or give another"
    ):
        fitted(kept(tmp_path / "kept"), spoilt)


def test_preflight_refuses_before_the_first_step(tmp_path, monkeypatch):
    def never(network, batch):
        raise AssertionError

    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"No checkpoint could be written to"):
        fitted(kept(tmp_path / "file"), never)
    with pytest.raises(TooLarge, match=r"Checkpoints need .* GiB of disk, .* free at"):
        require_disk(tmp_path / "not" / "yet", 2**60)
    other = Snapshot(tensors={"network/a": torch.ones(2)}, facts={})
    monkeypatch.setattr("matinee.train.preflight.read_checkpoint", lambda path: other)
    with pytest.raises(InputError, match=r"is not what was written"):
        preflight(tmp_path, lambda: Snapshot(tensors={"network/a": torch.zeros(2)}, facts={}), lambda: None)


def test_ctrl_c_waits_for_the_end_of_what_is_held_and_no_longer():
    seen = []

    def step():
        with interrupts.held():
            ctrl_c()
            time.sleep(0.01)
            seen.append("whole")

    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            step()
        with pytest.raises(KeyboardInterrupt):
            insist()
    assert seen == ["whole"]
    assert not interrupts.broken
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_in_another_thread_nobody_touches_signals(tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(fitted(kept(tmp_path))))
    thread.start()
    thread.join()
    same(found[0], fitted())


def test_nothing_of_a_checkpoint_is_a_pickle(tmp_path):
    fitted(kept(tmp_path))
    found = list(checkpoints_in(tmp_path))
    assert found
    for path in found:
        assert {file.suffix for file in path.iterdir()} == {".json", ".safetensors"}
        json.loads((path / "state.json").read_text())
        length = int.from_bytes((path / "state.safetensors").read_bytes()[:8], "little")
        json.loads((path / "state.safetensors").read_bytes()[8 : 8 + length])


def test_newest_of_no_folder_is_none(tmp_path):
    assert newest_checkpoint(tmp_path / "none") == (None, ())
