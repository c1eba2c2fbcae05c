"""One family of errors.

```
MatineeError            exit status 1
├── InputError          exit status 2: what the user gave or asked is unusable; one sentence, no traceback
│   ├── DataError       a file: names file, row, column and the first bad value
│   ├── SettingsError   a setting: names the nearest known one
│   │   └── SpaceError  what a search may change: names the setting and the key
│   ├── BundleError     a bundle: names the file that is off
│   ├── MissingExtra    an optional part of matinee is not installed
│   └── TooLarge        more memory or disk than there is: names what would be needed
├── Stopped             exit status 1: a fit was asked to stop; its checkpoint is where it goes on from
└── GateRefused         exit status 3
```
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class MatineeError(Exception):
    """Anything that matinee raises on purpose."""

    exit_status = 1


class InputError(MatineeError):
    """What the user gave or asked is unusable; the message says what was found, expected and to be done."""

    exit_status = 2


class DataError(InputError):
    """A file cannot be used as it is.

    Args:
        problem: what was found and what was expected.
        file: the file it was found in.
        row: the row, counted from 1 with the header as row 1, as an editor shows it.
        column: the column's name, or its position in a file without a header.
        value: the first bad value, as it stands in the file.
        remedy: what to do about it.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: object = None,
        row: int | None = None,
        column: str | None = None,
        value: object = None,
        remedy: str = "",
    ) -> None:
        self.file, self.row, self.column, self.value = file, row, column, value
        place = ", ".join(
            part
            for part in (
                str(file) if file is not None else "",
                f"row {row}" if row is not None else "",
                f"column {column!r}" if column is not None else "",
            )
            if part
        )
        found = f" (found {value!r})" if value is not None else ""
        super().__init__(f"{place + ': ' if place else ''}{problem}{found}.{' ' + remedy if remedy else ''}")


class SettingsError(InputError):
    """A setting is unknown or out of its range."""


class SpaceError(SettingsError):
    """What a search may change makes no sense.

    Args:
        problem: what was found and what was expected, without a full stop.
        key: the key of the setting that is off, such as `low`.
        setting: the setting; None: nobody knows its name yet.
        place: where it stands, such as a file and a line.
    """

    def __init__(self, problem: str, *, key: str, setting: str | None = None, place: str = "") -> None:
        self.problem, self.key, self.setting = problem, key, setting
        names = ".".join(name for name in (setting, key) if name)
        end = "" if problem.endswith("?") else "."
        super().__init__(f"{place + ', ' if place else ''}{names}: {problem}{end}")


class BundleError(InputError):
    """A bundle is incomplete, altered or of another format."""


class MissingExtra(InputError):
    """An optional part of matinee is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs: pip install 'matinee[{extra}]'")


class TooLarge(InputError):
    """More memory or disk is needed than there is."""


class Stopped(MatineeError):
    """A fit was asked to stop before its end; the message says whether and how it can go on."""


class GateRefused(MatineeError):
    """A gate said no: the new bundle is worse than the one in use."""

    exit_status = 3


def unknown_name(what: str, name: str, known: Iterable[str]) -> SettingsError:
    """Return the error for a name that nobody knows, naming the nearest known one."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}."
    return SettingsError(f"Unknown {what} {name!r}: {hint}")
