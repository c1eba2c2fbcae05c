"""What is searched: a function of settings that says how good they are, and may report on its way there.

```python
def objective(settings, report):
    for epoch in range(1, 11):
        ...
        report(epoch, accuracy)      # raises Stopped where the trial is to end here
    return accuracy                  # larger is better
```
"""

from __future__ import annotations

import importlib
import math
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from matinee.core.errors import MatineeError, SettingsError, Stopped

# What is being written is no checkpoint yet.
_DRAFTS = (".draft", ".tmp", ".part")


class Report(Protocol):
    """What an objective is given beside its settings.

    Attributes:
        number: of the trial, from 1.
        attempt: which run of the trial this is, from 1; later ones go on from `checkpoints`.
        seed: of the trial's own randomness.
        repeats: the trial whose settings are run again, with another seed; None: they are new.
    """

    number: int
    attempt: int
    seed: int
    repeats: int | None

    @property
    def checkpoints(self) -> Path:
        """A folder that the trial's next attempt finds again, made when it is first asked for.

        Whatever is written there counts as kept. A file is written under another name first (`.draft`, `.tmp`
        or `.part`) and renamed when it is whole.
        """

    def __call__(self, step: float, value: float) -> None:
        """Say how good it is after so many steps.

        Args:
            step: how many steps are done, more than before; in the unit of the study's `steps`.
            value: how good it is now, in the unit of the result; larger is better.

        Raises:
            Stopped: the trial is to end here; let it through.
            Diverged: the value is not a finite number; let it through.
        """

    def should_stop(self) -> bool:
        """Whether the trial is to end; for work that saves a checkpoint before it raises `Stopped`."""

    def alive(self) -> None:
        """Say that there is progress, where a step takes long."""

    def tell(self, **facts: Any) -> None:
        """Keep plain JSON values beside the trial, such as the size of what was fitted."""


class Diverged(MatineeError):
    """A value is not a finite number."""


Objective = Callable[[Mapping[str, Any], Report], float]


@dataclass(frozen=True)
class BuiltBy:
    """An objective that each worker builds for itself, once, from plain JSON values.

    Attributes:
        factory: "module:name" of a function that returns the objective.
        given: its keyword arguments.
    """

    factory: str
    given: Mapping[str, Any] = field(default_factory=dict)


def load_objective(objective: Objective | str | BuiltBy) -> Any:
    """The function behind an objective, in the process that runs it.

    Raises:
        SettingsError: it cannot be imported, or it is no function.
    """
    if isinstance(objective, BuiltBy):
        factory: Callable[..., Any] = _imported(objective.factory)
        built = factory(**objective.given)
        return _callable(built, f"what {objective.factory} returns")
    if isinstance(objective, str):
        return _imported(objective)
    return _callable(objective, "the objective")


def finite(value: Any, what: str) -> float:
    """A value as a finite number.

    Raises:
        Diverged: it is none.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise Diverged(f"{what} is {value!r}, not a number") from None
    if not math.isfinite(number):
        raise Diverged(f"It diverged: {what} is {number}")
    return number


def kept_at(folder: Path) -> float | None:
    """When the latest checkpoint of a folder was written, in seconds since 1970; None: there is none."""
    latest = None
    with suppress(OSError):
        for entry in os.scandir(folder):
            if not entry.name.endswith(_DRAFTS):
                written = entry.stat().st_mtime
                latest = written if latest is None else max(latest, written)
    return latest


def stopped(reason: str = "The trial was told to stop.") -> Stopped:
    """What an objective raises when it gives way."""
    return Stopped(reason)


def _imported(words: str) -> Any:
    """The function of `module:name`, found from the current folder too."""
    module, colon, name = words.partition(":")
    if not (module and colon and name):
        raise SettingsError(f"Objective {words!r}: expected module:name, such as train:objective.")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except ModuleNotFoundError as error:
        raise SettingsError(f"Objective {words!r}: {error}; is it in this folder or installed?") from error
    except AttributeError as error:
        raise SettingsError(f"Objective {words!r}: module {module} has no {name}.") from error
    return _callable(found, words)


def _callable(found: Any, what: str) -> Any:
    if not callable(found):
        raise SettingsError(f"Objective: {what} is {found!r}, not a function.")
    return found
