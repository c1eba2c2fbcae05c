"""What a fit that was broken off leaves beside its bundle, and how the next one goes on from there.

```
BUNDLE.unfinished/fit.json              which fit it is: log, recommender, settings, seed
BUNDLE.unfinished/choice/NAME/          a candidate: its figures on validation, or its checkpoints
BUNDLE.unfinished/choice/kept/          fitted parts that several candidates have in common
BUNDLE.unfinished/final/                checkpoints of the fit that the bundle is written from
BUNDLE.unfinished/final.kept/           its parts that are finished
```
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matinee.core.errors import InputError
from matinee.recipes.spent import read_facts, write_facts

_FACTS = "fit.json"


def unfinished_of(bundle: Path) -> Path:
    """Where the unfinished fit of a bundle lies."""
    bundle = bundle.absolute()
    return bundle.with_name(f"{bundle.name}.unfinished")


def is_unfinished(folder: Path) -> bool:
    """Whether a fit was broken off there."""
    return (folder / _FACTS).is_file()


def begin_at(folder: Path, identity: Mapping[str, Any], *, resume: bool) -> None:
    """Make the folder ready: go on from what is there, or start afresh.

    Args:
        folder: where the fit's checkpoints go.
        identity: what tells this fit from every other, by words that people understand.
        resume: go on from what is there; else it is removed.

    Raises:
        InputError: what is there is another fit, or no fit at all.
    """
    if folder.exists() and not is_unfinished(folder):
        if not folder.is_dir() or any(folder.iterdir()):
            raise InputError(f"{folder} is in the way: an unfinished fit is kept there; move it elsewhere.")
    elif folder.exists() and resume:
        _refuse_other(folder, identity)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_facts(folder / _FACTS, dict(identity))


def _refuse_other(folder: Path, identity: Mapping[str, Any]) -> None:
    there = read_facts(folder / _FACTS)
    for key, value in identity.items():
        if there.get(key) != value:
            raise InputError(
                f"The unfinished fit in {folder} has another {key} ({_short(there.get(key))}, here "
                f"{_short(value)}): give the same as then, or leave --resume out to start afresh."
            )


def _short(value: Any) -> str:
    words = "none" if value is None else str(value)
    return words if len(words) <= 40 else f"{words[:12]}..."
