"""A study for others: as a page, in Optuna's storage, as a folder to run again, on an MLflow server."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from matinee.core.errors import InputError, MatineeError
from matinee.core.space import Choice, Space, Span
from matinee.recipes.tune import Watch
from matinee.recipes.tune_folder import read_about
from matinee.tune.mlflow import connect
from matinee.tune.repeat import Repeat, write_repeat
from matinee.tune.study import Study, open_study, tuples

_PACKAGES = ("matinee", "numpy", "scipy", "pyarrow", "torch")
# Options that name places of the machine that ran it, or that a new run has no use for, and their values.
_PLACES = ("-o", "--output", "--space", "--json")
_BARE = ("--resume", "--quiet", "-q")


def to_optuna(folder: Path, url: str) -> str:
    """Write a study into an Optuna storage; a sentence that says what was written.

    Raises:
        InputError: there is no study, or the storage cannot be used.
        MissingExtra: Optuna is not installed.
    """
    from matinee.tune.optuna_export import export_optuna

    study = open_study(folder)
    return export_optuna(study.trials, study.name, url, space=space_of_study(study))


def to_page(folder: Path, facts: Mapping[str, Any], output: Path) -> str:
    """Write a study as an HTML page that needs nothing else; a sentence that says where.

    Args:
        folder: the study's.
        facts: the JSON of `status`.
        output: the page.

    Raises:
        InputError: there is no study, or what fills templates in is not installed.
    """
    from matinee.report.study_page import study_page
    from matinee.tune.importance import importance

    study = open_study(folder)
    noisy = any(trial.repeats for trial in study.trials)
    matters = importance(space_of_study(study), study.trials, noisy=noisy)
    output.write_text(study_page(facts, matters), encoding="utf-8")
    return f"{output}: the study's history, what mattered, cost against value, ledger."


def to_repeat(folder: Path, output: Path) -> str:
    """Write a folder from which a stranger can run a study again; a sentence that says where.

    Raises:
        InputError: there is no study, or the folder cannot be written.
    """
    study, about = open_study(folder), read_about(folder)
    best = study.best
    write_repeat(
        output,
        Repeat(
            name=study.name,
            space=space_of_study(study),
            trials=study.trials,
            command=command_again(about.get("command") or ["tune"]),
            versions={name: found for name in _PACKAGES if (found := _version(name)) is not None},
            seed=int(study.about["seed"]),
            log_sha256=about.get("log"),
            best=None if best is None else best.number,
        ),
    )
    return f"{output}: README.md says how to run the study again."


def command_again(words: Sequence[str]) -> list[str]:
    """A study's command as it is typed in the folder that says how to run it again.

    Args:
        words: what followed `matinee` when the study was begun.
    """
    found, rest = [], iter(words)
    for word in rest:
        if word in _PLACES:
            next(rest, None)
        elif word not in _BARE and not word.startswith(tuple(f"{place}=" for place in _PLACES)):
            found.append(word)
    return ["matinee", *found, "--space", "space.toml", "-o", "study"]


def space_of_study(study: Study) -> Space:
    """What a study searched, as its first event says it.

    Raises:
        InputError: a crash left nothing in its log.
    """
    if not study.about:
        raise InputError("The study never began: begin it (matinee tune --resume).")
    return {name: _values(dict(facts)) for name, facts in study.about["space"].items()}


def _values(facts: dict[str, Any]) -> Choice | Span:
    told = {name: tuples(value) for name, value in facts.items()}
    return Choice(**told) if "values" in told else Span(**told)


def logging_to_mlflow(watch: Watch, name: str, about: Mapping[str, Any], say: Callable[[str], None]) -> Watch:
    """The same watch, which also writes each trial that has ended to the server of MLFLOW_TRACKING_URI.

    A server that says no is told of once, and the study goes on without it.

    Args:
        watch: what is called anyway.
        name: of the experiment.
        about: what tells the study from others.
        say: told what is wrong.

    Raises:
        MatineeError: the variable is set, and there is no such server.
    """
    digest = hashlib.sha256(repr(sorted(about.items())).encode()).hexdigest()[:16]
    server = connect(name, digest)
    if server is None:
        return watch
    written: set[tuple[str | None, int]] = set()

    def watching(study: Study) -> None:
        nonlocal server
        watch(study)
        for trial in study.trials:
            if server is None or not trial.over or (trial.region, trial.number) in written:
                continue
            written.add((trial.region, trial.number))
            try:
                server.log(trial)
            except MatineeError as error:
                server = None
                say(f"{error} The study goes on without it.")

    return watching


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
