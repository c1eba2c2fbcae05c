import pytest

from matinee.core.electricity import electricity_dollars
from matinee.tune import meter as metering
from matinee.tune.meter import Drawn, Steady, gpu_watts, meter_here, read_watts

# What nvidia-smi prints for --query-gpu=power.draw,power.limit --format=csv,noheader,nounits.
ONE = "145.32, 450.00\n"
TWO = "71.42, 700.00\n69.08, 700.00\n"
SILENT = "[N/A], [N/A]\n"
UNLIMITED = "18.73, [N/A]\n"
BROKEN = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running.\n"
)


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(
    ("said", "watts"),
    [
        (ONE, (145.32, 450.0)),
        (TWO, (140.5, 1400.0)),
        (UNLIMITED, (18.73, 37.46)),
        (SILENT, None),
        (BROKEN, None),
        ("", None),
        (ONE + SILENT, (145.32, 450.0)),
    ],
)
def test_what_a_counter_prints_is_watts_or_nothing(said, watts):
    assert read_watts(said) == (watts if watts is None else pytest.approx(watts))


def test_a_steady_meter_counts_seconds():
    clock = Clock()
    meter = Steady(0.5, clock)
    clock.now = 3.0
    assert meter.reading() == 1.5


def test_a_drawn_meter_counts_what_was_seen_and_never_more_than_the_limit(monkeypatch):
    monkeypatch.setenv("MATINEE_WATTS", "100")
    clock, seen = Clock(), [(100.0, 300.0), (200.0, 300.0), (900.0, 300.0), None]
    looks = iter([*seen, *[None] * 10_000])
    meter = Drawn(2, lambda: next(looks), clock, pause_s=1e9)
    try:
        assert meter.most == pytest.approx(electricity_dollars(1.0, 300.0) / 2)
        clock.now = 10.0
        first = meter.reading()
        assert first == pytest.approx(electricity_dollars(10.0, 100.0) / 2)
        meter.look()
        clock.now = 20.0
        assert meter.reading() - first == pytest.approx(electricity_dollars(10.0, 200.0) / 2)
        meter.look()
        before = meter.reading()
        clock.now = 30.0
        assert meter.reading() - before == pytest.approx(10 * meter.most)
        meter.look()
        clock.now = 40.0
        assert meter.reading() - before == pytest.approx(20 * meter.most)
    finally:
        meter.close()


def test_the_counter_of_a_gpu_is_asked_where_there_is_one(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{ONE.strip()}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert gpu_watts() == (145.32, 450.0)
    meter = meter_here(1)
    try:
        assert meter.most == pytest.approx(electricity_dollars(1.0, 450.0))
    finally:
        meter.close()


def test_without_a_counter_the_machines_watts_stand_for_everything(monkeypatch):
    monkeypatch.setattr(metering, "gpu_watts", lambda: None)
    assert meter_here(4).most == pytest.approx(electricity_dollars(1.0) / 4)
    assert meter_here(2, 7.2).most == pytest.approx(0.001)
