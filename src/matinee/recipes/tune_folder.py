"""A study's folder: whether there can be one, which study it holds, and what tells it from others."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matinee.core.errors import InputError
from matinee.core.version import version
from matinee.recipes.spent import read_facts, write_facts
from matinee.tune.events import NAME as LOG
from matinee.tune.events import is_active

ABOUT, REGIONS = "about.json", "regions"


def check_study(folder: Path, *, resume: bool) -> None:
    """Refuse, before any work, a folder where no study can be kept.

    Raises:
        InputError: something else is there, a study that is not to be gone on with, one that is going on, or
            no room to write; or what is written there is not what comes back.
    """
    there = (folder / ABOUT).is_file()
    if not there and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is in the way: a study is kept there; name another folder.")
    if there and not resume:
        raise InputError(f"{folder} holds a study already: go on with it (--resume), or name another folder.")
    if any(is_active(log.parent) for log in (folder / LOG, *folder.glob(f"{REGIONS}/*/{LOG}"))):
        raise InputError(f"{folder}: another coordinator is at work on this study; wait for it or stop it.")
    above = folder if there else next(one for one in folder.absolute().parents if one.exists())
    try:
        with tempfile.TemporaryFile(dir=above) as file:
            file.write(b"checkpoint")
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            back = file.read()
    except OSError as error:
        raise InputError(
            f"{folder}: {above} cannot be written ({error.strerror}); name another folder for the study."
        ) from error
    if back != b"checkpoint":
        raise InputError(f"{above} gives back something else than was written there: name another folder.")


def begin_study(folder: Path, about: Mapping[str, Any], *, resume: bool, command: Sequence[str] = ()) -> None:
    """Make a study's folder ready.

    Args:
        folder: the study's.
        about: what tells it from others.
        resume: go on with the study that is there.
        command: what was typed to begin it.

    Raises:
        InputError: something else is there, or another study.
    """
    check_study(folder, resume=resume)
    there = read_about(folder) if (folder / ABOUT).is_file() else None
    for key, value in about.items():
        if there is not None and there.get(key) != _plain(value):
            raise InputError(
                f"The study in {folder} has another {key}: give the same as then, or name another folder."
            )
    folder.mkdir(parents=True, exist_ok=True)
    new = {"matinee": version("matinee"), "command": list(command), **about}
    write_facts(folder / ABOUT, new if there is None else there)


def read_about(folder: Path) -> dict[str, Any]:
    """What a study is about.

    Raises:
        InputError: there is no study.
    """
    found = read_facts(folder / ABOUT)
    if not found:
        raise InputError(f"{folder} holds no study: expected the folder that `matinee tune -o` wrote.")
    return found


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))
