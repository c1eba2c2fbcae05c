"""The memory that training will take is known before it starts, and before torch is loaded."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from matinee.networks.sequential import SequentialNetwork
from matinee.train.memory import NetworkSize, parameters, predicted_bytes

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SIZE = NetworkSize(n_items=3416)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"width": 128, "layers": 3, "heads": 4, "hidden": 512},
        {"gated": True},
        {"positions": "steps", "longest": 700},
        {"positions": "places", "longest": 50},
        {"positions": "none", "times": True},
    ],
)
def test_parameters_are_counted_as_the_network_has_them(settings):
    heads = settings.get("heads", 2)
    network = SequentialNetwork(99, **settings, decays=[0.5] * heads)
    counted = parameters(NetworkSize(n_items=99, **settings))
    assert counted == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    "more",
    [
        {"n_items": 20_000},
        {"width": 96},
        {"layers": 3},
        {"hidden": 512},
        {"batch_events": 8192},
        {"times": True},
        {"positions": "steps"},
        {"drawn": 2048},
        {"features": 1000},
        {"features": 1000, "entries": 1_000_000},
        {"numbers": 512},
    ],
)
def test_more_of_anything_takes_more(more):
    assert predicted_bytes(replace(SIZE, **more)) > predicted_bytes(SIZE)


@pytest.mark.parametrize("less", [{"average": False}, {"validated": False}, {"checkpoints": False}])
def test_what_is_not_kept_takes_nothing(less):
    assert predicted_bytes(replace(SIZE, **less)) < predicted_bytes(SIZE)


def test_the_prediction_loads_no_torch():
    code = "import sys, matinee.train.memory; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "name",
    [
        "like ML-1M",
        *(pytest.param(one, marks=pytest.mark.long) for one in ("like Beauty", "like Beauty, described")),
    ],
)
def test_the_prediction_is_within_fifteen_percent_of_what_is_measured(name, tmp_path):
    code = (
        "import sys, json; from memory_train import SHAPES, measured_bytes, size_of;"
        "from matinee.train.memory import predicted_bytes; shape = SHAPES[sys.argv[1]];"
        "print(json.dumps([predicted_bytes(size_of(shape)), measured_bytes(shape)]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, name], cwd=BENCHMARKS, check=True, capture_output=True, text=True
    )
    predicted, measured = json.loads(run.stdout)
    assert 0.85 < predicted / measured < 1.15


def test_a_table_that_is_moved_by_rows_takes_no_dense_gradients_and_half_its_moments():
    sizes = [NetworkSize(n_items=200_000, drawn=2048, by_rows=by_rows) for by_rows in (False, True)]
    whole, rows = map(predicted_bytes, sizes)
    table = 200_000 * 64 * 4
    assert 1.5 * table < whole - rows < 6 * table
