"""What a fit that was broken off leaves beside its bundle, and how the next one goes on from there.

```
BUNDLE.unfinished/fit.json              which fit it is: log, recommender, settings, seed
BUNDLE.unfinished/choice/NAME/          a candidate: its figures on validation, or its checkpoints
BUNDLE.unfinished/choice/kept/          fitted parts that several candidates have in common
BUNDLE.unfinished/final/                checkpoints of the fit that the bundle is written from
BUNDLE.unfinished/final.kept/           its parts that are finished
BUNDLE.unfinished/regions/judge-N/      a region's fit on training events: its figures on validation
BUNDLE.unfinished/regions/last-N/       a region's fit that the bundle is written from
BUNDLE.unfinished/regions/kept/         fitted parts of regions
BUNDLE.unfinished.earlier/              an earlier fit's, until this one has kept something
```
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matinee.core.errors import InputError, Stopped
from matinee.recipes.spent import read_facts, write_facts

_FACTS = "fit.json"
_ENDING = ".unfinished"


def unfinished_of(bundle: Path) -> Path:
    """Where the unfinished fit of a bundle lies."""
    bundle = bundle.absolute()
    return bundle.with_name(f"{bundle.name}{_ENDING}")


def is_unfinished(folder: Path) -> bool:
    """Whether a fit was broken off there."""
    return (folder / _FACTS).is_file()


@contextmanager
def begun(
    folder: Path, identity: Mapping[str, Any], *, resume: bool, say: Callable[[str], None]
) -> Iterator[None]:
    """While a fit lasts, its folder; once the fit has done all that it should, the folder goes.

    A fit that ends before it has kept anything, such as one that is refused, leaves none, and an earlier
    fit's is as it was.

    Args:
        folder: where the fit's checkpoints go.
        identity: what tells this fit from every other, by words that people understand.
        resume: go on from what is there.
        say: told what becomes of what is there.

    Raises:
        InputError: what is there is another fit, or no fit at all.
        Stopped: the fit was stopped, and what is finished is kept.
    """
    begin_at(folder, identity, resume=resume, say=say)
    try:
        yield
    except (KeyboardInterrupt, Stopped) as stop:
        if not _keeps_anything(folder):
            raise
        raise Stopped(f"Stopped; what is finished is kept in {folder}.") from stop
    else:
        for done in (folder, _aside(folder)):
            shutil.rmtree(done, ignore_errors=True)
    finally:
        _settle(folder)


def begin_at(
    folder: Path,
    identity: Mapping[str, Any],
    *,
    resume: bool,
    say: Callable[[str], None] = lambda _words: None,
) -> None:
    """Make the folder ready: go on from what is there, or put that aside and start afresh.

    Raises:
        InputError: what is there is another fit, or no fit at all.
    """
    _settle(folder)
    there = is_unfinished(folder)
    if folder.exists() and not there and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is in the way: an unfinished fit is kept there; move it elsewhere.")
    if there and resume:
        _refuse_other(folder, identity)
        say(f"{folder} holds a fit that was broken off: going on from it.")
    elif there:
        say(f"{folder} holds a fit that was broken off: starting afresh (--resume would go on from it).")
        folder.rename(_aside(folder))
    elif resume:
        say(f"No fit of {folder.name.removesuffix(_ENDING)} was broken off: starting from the beginning.")
    folder.mkdir(parents=True, exist_ok=True)
    write_facts(folder / _FACTS, dict(identity))


def _aside(folder: Path) -> Path:
    """Where an earlier fit waits until the new one has kept something."""
    return folder.with_name(f"{folder.name}.earlier")


def _keeps_anything(folder: Path) -> bool:
    return any(path.is_file() for path in folder.glob("*/**/*"))


def _settle(folder: Path) -> None:
    """Of a fit that kept nothing, leave nothing; the earlier one is kept until then, and no longer."""
    if is_unfinished(folder) and not _keeps_anything(folder):
        shutil.rmtree(folder, ignore_errors=True)
    aside = _aside(folder)
    if is_unfinished(aside):
        if folder.exists():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.rename(folder)


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
