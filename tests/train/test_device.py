"""Where it is trained and how precisely: asked for, found, refused; half precision teaches the same."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.train.small import NextItem, loss_of, made_passes, share_right

from matinee.core.errors import SettingsError, TooLarge
from matinee.core.run import Run
from matinee.train import device
from matinee.train.device import find_place, has_half_units, require_on
from matinee.train.loop import train
from matinee.train.memory import NetworkSize, predicted_bytes
from matinee.train.plan import Plan

CPU = torch.device("cpu")


def test_auto_takes_what_is_there():
    place = find_place()
    assert place.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert place.half == has_half_units(place.device)


@pytest.mark.parametrize(
    ("precision", "half"), [("float32", False), ("fp32", False), ("bfloat16", True), ("bf16", True)]
)
def test_a_precision_that_is_asked_for_is_taken(precision, half):
    place = find_place("cpu", precision)
    with place.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert place.half is half
    assert product.dtype == (torch.bfloat16 if half else torch.float32)


@pytest.mark.parametrize("word", ["amx_bf16", "avx512_bf16", "bf16"])
def test_units_are_known_by_name(word):
    assert has_half_units(CPU, frozenset({"avx2", word}))
    assert not has_half_units(CPU, frozenset({"avx2", "avx512_f"}))


def test_an_older_torch_asks_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    (tmp_path / "intel").write_text("model name : X\nflags\t\t: fpu avx512_bf16 amx_tile\n")
    (tmp_path / "arm").write_text("Features\t: fp asimd bf16\n")
    assert has_half_units(CPU, device._processor_words(tmp_path / "intel"))
    assert has_half_units(CPU, device._processor_words(tmp_path / "arm"))
    assert not has_half_units(CPU, device._processor_words(tmp_path / "none"))


def test_what_is_unknown_or_absent_is_refused():
    with pytest.raises(SettingsError, match=r"'bfloat61': known are auto, float32 \(or fp32\) and bf"):
        find_place("cpu", "bfloat61")
    with pytest.raises(SettingsError, match="Unknown device 'cpuu': known are auto, cpu, gpu, "):
        find_place("cpuu")
    with pytest.raises(
        SettingsError, match="'cuda:99' was asked for, but torch finds none here: take --device cpu"
    ):
        find_place("cuda:99")
    with pytest.raises(SettingsError, match="'gpu:99' was asked for, but torch finds none here"):
        find_place("gpu:99")


def test_half_precision_teaches_the_same():
    plan = Plan(passes=8, warmup=3, rate=0.01)
    found = {}
    for precision in ("float32", "bfloat16"):
        network = NextItem(dropout=0.0)
        run = Run(device="cpu", precision=precision)
        done = train(network, loss_of, made_passes(12), replace(plan), run, share_right)
        assert all(weights.dtype == torch.float32 for weights in done.best.values())
        found[precision] = [point.loss for point in done.curve]
    assert found["bfloat16"] == pytest.approx(found["float32"], rel=0.01)
    assert found["bfloat16"] != found["float32"]


def test_a_network_that_an_accelerator_cannot_hold_is_refused_in_words():
    size = NetworkSize(n_items=3_416)
    place, half = find_place("cpu", "float32"), NetworkSize(n_items=3_416, half=True)
    needed = predicted_bytes(size)
    require_on(place, size, free=needed)
    require_on(place, half, free=needed - 1)
    require_on(place, size)
    with pytest.raises(TooLarge, match="smaller width or batch_events, or take --device cpu"):
        require_on(place, size, free=needed - 1)
