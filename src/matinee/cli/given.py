"""What was typed, looked at before any work is done with it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from matinee.core.errors import InputError


def refuse_blank(what: str, words: str | None, expected: str) -> None:
    """Refuse an empty text: as a path it would mean the folder that one happens to be in.

    Args:
        what: how an error calls it, such as `--json`.
        words: what was typed; None: nothing was.
        expected: what should stand there, such as `a file`.

    Raises:
        InputError: there is nothing but blanks in it.
    """
    if words is not None and not words.strip():
        raise InputError(f"{what} is an empty text: name {expected}.")


def refuse_blank_ids(option: str, ids: Sequence[str]) -> None:
    """Refuse ids of nothing but blanks, which no log has.

    Raises:
        InputError: there is one.
    """
    if any(not one.strip() for one in ids):
        raise InputError(f"{option} was given a blank id: name an id of the log.")


def ids_of(option: str, path: str | None) -> list[str] | None:
    """The ids in a file; None where no file was named.

    Raises:
        InputError: there is no such file, or no id in it.
    """
    from matinee.recipes.recommend import read_ids

    refuse_blank(option, path, "a file of ids, one a line")
    if path is None:
        return None
    if Path(path).is_dir():
        raise InputError(f"{option} {path} is a folder: name a file of ids, one a line.")
    if not Path(path).exists():
        raise InputError(f"{option} {path}: there is no such file; name a file of ids, one a line.")
    return read_ids(path)


def check_writable(option: str, path: str | None) -> None:
    """Refuse, before the work, a path where no file could be written after it.

    Args:
        option: how an error calls the path, such as `--json`.
        path: where the file is to be; None: nowhere.

    Raises:
        InputError: it is empty or a folder, or the folder that it is to be in cannot be written.
    """
    if path is None:
        return
    refuse_blank(option, path, "a file")
    file = Path(path).absolute()
    if file.is_dir():
        raise InputError(f"{option} {path} is a folder: name a file in it.")
    if not (file.parent.is_dir() and os.access(file.parent, os.W_OK)):
        raise InputError(f"{option} {path}: there is no writable folder {file.parent}; name another path.")
    if file.exists() and not os.access(file, os.W_OK):
        raise InputError(f"{option} {path} cannot be written; name another path.")
