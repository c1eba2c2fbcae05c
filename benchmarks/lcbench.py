"""LCBench's learning curves without training anything: a surrogate of 34 classification tasks.

Seven settings of a small network, its validation cross-entropy after each of 52 epochs and the seconds that
they took, as a network fitted on LCBench's runs tells them (Zimmer, Lindauer, Hutter 2021, "Auto-PyTorch
Tabular"; surrogate of YAHPO Gym, Pfisterer et al. 2022, `lcbench` of github slds-lmu/yahpo_data). It answers
the same question with the same number every time: there is no noise. `$MATINEE_DATA/lcbench` has the files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from matinee.core.seeds import generator
from matinee.core.space import Space, Span
from matinee.core.types import Float64
from place import data_folder

EPOCHS = 52
SPACE: Space = {
    "batch_size": Span(low=16, high=512, log=True, whole=True),
    "learning_rate": Span(low=1e-4, high=1e-1, log=True),
    "momentum": Span(low=0.1, high=0.99),
    "weight_decay": Span(low=1e-5, high=1e-1),
    "num_layers": Span(low=1, high=5, whole=True),
    "max_units": Span(low=64, high=1024, log=True, whole=True),
    "max_dropout": Span(low=0.0, high=1.0),
}
# In the order in which the surrogate takes them, after the epoch.
_COLUMNS = tuple(SPACE)
_SECONDS, _CROSS_ENTROPY = 0, 2
_DRAWN = 20_000
# Between two epochs, where the surrogate says that time stood still or ran backwards.
_LEAST_S = 1e-3


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One run.

    Attributes:
        values: shape (steps,): after each step, larger is better; here the cross-entropy, negated.
        seconds: shape (steps,): machine-seconds until then, increasing.
    """

    values: Float64
    seconds: Float64


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What is good and what is dear in a task, from 20,000 random whole runs.

    Attributes:
        best: the best value.
        middle: the median value.
        run_s: the mean of a whole run's seconds.
    """

    best: float
    middle: float
    run_s: float

    def regret(self, value: float) -> float:
        """0 at the best of the random runs, 1 at their median; below 0 is better than all of them."""
        return (self.best - value) / (self.best - self.middle)


def task_names(rest: int) -> list[str]:
    """The tasks whose place in encoding.json leaves this rest by 2, in the order of their places.

    Those at even places, 17, are the benchmark; those at odd places are what one may look at before. One of
    the latter is no task of the surrogate's own space and left out.
    """
    known = json.loads((_folder() / "config_space.json").read_text(encoding="utf-8"))["hyperparameters"]
    choices = next(one["choices"] for one in known if one["name"] == "OpenML_task_id")
    places = sorted((place, name) for name, place in _places().items() if name in choices)
    return [name for place, name in places if place % 2 == rest]


class Task:
    """One of LCBench's tasks: what a run of some settings would have shown; each is asked for once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._place = _places()[name]
        self._curves: dict[tuple[Any, ...], Curve] = {}

    def curve(self, settings: Mapping[str, Any]) -> Curve:
        """What a whole run shows."""
        key = tuple(settings[name] for name in _COLUMNS)
        if key not in self._curves:
            rows = np.tile(np.array(key, dtype=np.float64), (EPOCHS, 1))
            found = self._ask(rows, np.arange(1, EPOCHS + 1))
            seconds = np.maximum.accumulate(np.maximum(found[:, _SECONDS], _LEAST_S))
            seconds += _LEAST_S * np.arange(EPOCHS)
            self._curves[key] = Curve(values=-found[:, _CROSS_ENTROPY], seconds=seconds)
        return self._curves[key]

    def scale(self) -> Scale:
        """What is good and what is dear here."""
        random = generator(0, "scale", self.name)
        rows = np.array([[SPACE[name].draw(random) for name in _COLUMNS] for _ in range(_DRAWN)])
        found = self._ask(rows, np.full(_DRAWN, EPOCHS))
        values = -found[:, _CROSS_ENTROPY]
        return Scale(
            best=float(values.max()),
            middle=float(np.median(values)),
            run_s=float(found[:, _SECONDS].clip(_LEAST_S).mean()),
        )

    def _ask(self, rows: Float64, epochs: Sequence[int] | Any) -> Float64:
        """The surrogate's six columns for settings (n, 7) at epochs (n,)."""
        numbers = np.column_stack([epochs, rows]).astype(np.float32)
        places = np.full((len(rows), 1), self._place, dtype=np.int32)
        found = _surrogate().run(None, {"x_cat": places, "x_cont": numbers})[0]
        return np.asarray(found, dtype=np.float64)


def _folder() -> Path:
    return data_folder() / "lcbench"


@cache
def _places() -> dict[str, int]:
    found: dict[str, int] = json.loads((_folder() / "encoding.json").read_text(encoding="utf-8"))[
        "OpenML_task_id"
    ]
    return found


@cache
def _surrogate() -> Any:
    """The surrogate on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = str(_folder() / "model.onnx")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
