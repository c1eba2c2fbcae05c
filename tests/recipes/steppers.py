"""Recommenders that train in steps, small enough for tests, and a door by which fitting processes know them.

`stepper` adds a drawn number for each event in every pass, so that its scores depend on every step; `pair` is
the sum of `stepper` and `popularity`. As a program it runs a module among them, as `python -m MODULE` does.
"""

import json
import os
import runpy
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from matinee.answers.context import context_of
from matinee.answers.model import Model, model_of
from matinee.core.errors import Stopped
from matinee.core.promise import Needs, Part
from matinee.core.run import Run, Step
from matinee.core.seeds import generator
from matinee.core.settings import config_values, make_config
from matinee.core.space import Choice
from matinee.recommenders import RECOMMENDERS, make_recommender

# Python itself, also while something else stands for it.
PYTHON = sys.executable
PLAIN = Run()


@dataclass(frozen=True, kw_only=True)
class StepperConfig:
    passes: int = 3
    pause: float = 0.0
    factor: float = 1.0


class Stepper:
    name = "stepper"
    Config = StepperConfig
    space: ClassVar = {"factor": Choice((1.0, 2.0, 3.0))}
    trains = True
    extra = "network"

    def __init__(self, **settings):
        self.config = make_config(StepperConfig, settings, self.name)

    def needs(self, log):
        return Needs(memory_bytes=1000, cpu_s=20.0)

    def fit(self, log, *, seed=0, run=PLAIN):
        note(f"fit {self.name}")
        config, scores, done = self.config, np.zeros(log.n_items), 0
        file = run.checkpoints / "state.json" if run.checkpoints else None
        if file is not None and file.exists():
            state = json.loads(file.read_text())
            scores, done = np.array(state["scores"]), state["done"]
            note(f"go on from {done}")
        for number in range(done, config.passes):
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                draft = file.with_suffix(".draft")
                draft.write_text(json.dumps({"scores": scores.tolist(), "done": number}))
                draft.replace(file)
            if run.should_stop():
                note("saved")
                raise Stopped(f"Stopped after {number} passes.")
            time.sleep(config.pause or float(os.environ.get("STEPPERS_PAUSE", "0")))
            hold(number, run)
            drawn = generator(seed, "stepper", number).random(len(log.histories.items))
            scores = 0.9 * scores + np.bincount(log.histories.items, drawn, log.n_items) * config.factor
            run.tell(
                Step(
                    share=(number + 1) / config.passes,
                    doing=f"pass {number + 1} of {config.passes}",
                    loss=5.816,
                    validation=("ndcg@10", 0.1712),
                    left_s=130.0,
                )
            )
        settings = config_values(config) | {"passes_made": config.passes}
        part = Part(kind="popular", settings=settings, tensors={"scores": scores.astype(np.float32)})
        return model_of(self.name, config_values(config), part, log)


def hold(number, run):
    """Where a test means to break off in the second pass: stay there until a stop is asked for."""
    while number == 1 and "STEPPERS_HOLD" in os.environ and not run.should_stop():
        time.sleep(0.02)


class Pair(Stepper):
    name = "pair"
    looks_for = ("stepper", "popularity")

    def fit(self, log, *, seed=0, run=PLAIN):
        note("fit pair")
        parts = {}
        for name in self.looks_for:
            one = make_recommender(name, {"pause": self.config.pause} if name == "stepper" else {})
            found = run.kept.find(name, config_values(one.config), seed) if run.kept else None
            if found is None:
                more = {"run": run} if name == "stepper" else {}
                parts[name] = one.fit(log, seed=seed, **more).parts[name]
                if run.kept:
                    run.kept.keep(name, config_values(one.config), seed, parts[name], {})
            else:
                parts[name] = found[0]
        scores = sum(part.tensors["scores"] for part in parts.values())
        parts["pair"] = Part(kind="popular", settings={}, tensors={"scores": scores})
        return Model(
            name="pair", config=config_values(self.config), parts=parts, log=log, context=context_of(log)
        )


def note(words):
    """Write down what was done, for the test that looks."""
    if "STEPPERS_NOTES" in os.environ:
        with Path(os.environ["STEPPERS_NOTES"]).open("a") as file:
            file.write(words + "\n")


def program(folder):
    """A program that stands for Python's in a fit's own process, and knows these recommenders."""
    path = folder / "python"
    path.write_text(f'#!/bin/sh\nexec "{PYTHON}" "{Path(__file__).resolve()}" "$0" "$@"\n')
    path.chmod(0o755)
    return str(path)


if __name__ == "__main__":
    from matinee.recipes import rows

    RECOMMENDERS.update({"stepper": Stepper, "pair": Pair})
    rows.DEFAULT_ROWS = ("popularity", "stepper", "pair")
    sys.executable, module = sys.argv[1], sys.argv[3]
    sys.argv = sys.argv[3:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
