"""A folder from which a stranger can run a study again, and see what it found the first time."""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matinee.core.errors import InputError
from matinee.core.space import Space
from matinee.core.words import counted
from matinee.tune.space_file import space_text
from matinee.tune.trial import Trial

_COLUMNS = ("number", "state", "why", "repeats", "region", "seed", "value", "dollars", "seconds", "reason")


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """What it takes to run a study again.

    Attributes:
        name: what the study is called.
        space: what was searched.
        trials: in the order of their numbers.
        command: the command and its arguments, as they are to be typed in the folder: its space is
            `space.toml`.
        versions: package -> version, as pip knows them.
        seed: of the study.
        log_sha256: of the data; None: it has none, such as a function that makes its own.
        best: the number of the best trial; None: none is done.
    """

    name: str
    space: Space
    trials: Sequence[Trial]
    command: Sequence[str]
    versions: Mapping[str, str]
    seed: int
    log_sha256: str | None = None
    best: int | None = None


def write_repeat(folder: Path, facts: Repeat) -> None:
    """Write README.md, space.toml, versions.txt, trials.csv and study.json; the same facts, the same files.

    Args:
        folder: a new or empty one.
        facts: what to write.

    Raises:
        InputError: the folder holds something else, or cannot be written.
        SpaceError: a value of the space is none that a file knows.
    """
    files = {
        "README.md": _readme(facts),
        "space.toml": space_text(facts.space),
        # No package index has builds such as 2.13.0+cpu; 2.13.0 is met by any of them.
        "versions.txt": "".join(
            f"{name}=={facts.versions[name].partition('+')[0]}\n" for name in sorted(facts.versions)
        ),
        "trials.csv": _table(facts),
        "study.json": json.dumps(_told(facts), indent=2) + "\n",
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.iterdir()):
            if path.name not in files or path.read_text("utf-8") != files[path.name]:
                raise InputError(
                    f"{folder} holds {path.name}, which is not of this study: give a new folder."
                )
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{folder} cannot be written: {error}.") from error


def _readme(facts: Repeat) -> str:
    dollars = sum(trial.dollars for trial in facts.trials)
    data = (
        f"The data's SHA-256 is {facts.log_sha256}: with other data the study is another one.\n\n"
        if facts.log_sha256
        else ""
    )
    return (
        f"# {facts.name}, to run again\n\n"
        f"{counted(len(facts.trials), 'trial')} of {counted(len(facts.space), 'setting')} for "
        f"{dollars:.4g} dollars. {_best(facts)}\n\n"
        "```console\n"
        "$ pip install -r versions.txt\n"
        f"$ {shlex.join(facts.command)}\n"
        "```\n\n"
        "Type them in this folder; paths and modules are those of the first time, so put yours.\n\n"
        f"{data}"
        f"The seed is {facts.seed}. `space.toml` is what was searched, `trials.csv` what was tried and how "
        "it ended, `study.json` the best settings. The search minds what trials cost, and no machine takes "
        "the same seconds twice: the first settings will be those of the table, later ones may be others.\n"
    )


def _best(facts: Repeat) -> str:
    best = _trial(facts)
    if best is None:
        return "None of them is done."
    return f"The best is trial {best.number}, with a value of {best.value:.6g}."


def _trial(facts: Repeat) -> Trial | None:
    return next((trial for trial in facts.trials if trial.number == facts.best), None)


def _told(facts: Repeat) -> dict[str, Any]:
    best = _trial(facts)
    return {
        "name": facts.name,
        "seed": facts.seed,
        "log_sha256": facts.log_sha256,
        "command": list(facts.command),
        "versions": dict(sorted(facts.versions.items())),
        "best": None
        if best is None
        else {"number": best.number, "value": best.value, "settings": dict(best.settings)},
    }


def _table(facts: Repeat) -> str:
    """A row for each trial: how it went, then a column for each setting, empty where it was left out."""
    names = list(dict.fromkeys([*facts.space, *(name for trial in facts.trials for name in trial.settings)]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_COLUMNS, *(f"settings.{name}" for name in names)])
    for trial in facts.trials:
        told = [getattr(trial, column) for column in _COLUMNS]
        settings = [trial.settings.get(name) for name in names]
        writer.writerow([_cell(value) for value in (*told, *settings)])
    return text.getvalue()


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (bool, list, tuple)) else value
