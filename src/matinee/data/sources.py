"""What was given as a log: files, folders, or a table in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import pyarrow as pa

from matinee.core.errors import DataError, InputError
from matinee.data.formats import Layout, find_layout, table_layout

TABLE = Path("the table")
# The columns of the table that `recommend --all` writes: what viewers were shown, not what they watched.
OWN_TABLE = {"user", "rank", "item", "score", "source"}


@dataclass(frozen=True, kw_only=True)
class Found:
    """The files of a log, and what was left out of the folders given."""

    layouts: tuple[Layout, ...]
    notes: tuple[str, ...] = ()


def paths_of(source: Any) -> list[Path] | None:
    """The paths that were given, or None where something else was."""
    if isinstance(source, (str, PathLike)):
        source = [source]
    if not isinstance(source, (list, tuple)) or not all(isinstance(one, (str, PathLike)) for one in source):
        return None
    if not source:
        raise InputError("No log was given: name at least one file or folder.")
    if any(fspath(one) == "" for one in source):
        raise InputError('No log was given: "" is no name; the folder that the program runs in is ".".')
    return [Path(one) for one in source]


def find_files(paths: Sequence[Path], asked: Mapping[str, str]) -> Found:
    """The files to read, in the order given; of a folder those that are most of all a log.

    A file is named on purpose, so it has to be a log; a folder often holds other tables too: of its files
    (not of folders in it) those are read that fill the most roles (viewer, item, time, value, kind, order),
    with the same columns; the others are named in a note. A table of recommendations is never a log there.

    Raises:
        DataError: a file is missing or no log, a folder has none, or the files have different columns.
    """
    layouts: list[Layout] = []
    notes: list[str] = []
    for path in paths:
        if path.is_dir():
            found = _of_folder(path, asked)
            layouts += found.layouts
            notes += found.notes
        elif not path.is_file():
            raise _no_file(path)
        elif (layout := find_layout(path, asked)) is not None:
            layouts.append(layout)
        else:
            notes.append(f"{path} is empty")
    if not layouts:
        raise DataError("the file is empty", file=paths[0], remedy="Give a log with at least one event.")
    for layout in layouts[1:]:
        if set(layout.columns) != set(layouts[0].columns):
            raise DataError(
                f"it has {_roles(layout)}, while {layouts[0].file} has {_roles(layouts[0])}",
                file=layout.file,
                remedy="Files of one log have the same columns: read them apart, or say --columns for all.",
            )
    return Found(layouts=tuple(layouts), notes=tuple(notes))


def _no_file(path: Path) -> DataError:
    """The error for what is there but cannot be read twice, or is not there."""
    try:
        path.stat()
    except FileNotFoundError:
        return DataError("there is no such file", file=path, remedy="Check the name.")
    except OSError as error:
        return DataError(
            f"the file cannot be opened: {error.strerror}", file=path, remedy="Check its rights."
        )
    return DataError(
        "not a plain file but a pipe or a device, and a log is read more than once",
        file=path,
        remedy="Save it to a file first; a compressed one is read as it is.",
    )


def _roles(layout: Layout) -> str:
    return ", ".join(f"{role} ({layout.column(role)!r})" for role in layout.columns)


def _of_folder(folder: Path, asked: Mapping[str, str]) -> Found:
    layouts: list[Layout] = []
    others: list[str] = []
    for file in sorted(folder.iterdir()):
        if not file.is_file() or file.name.startswith((".", "_")):
            continue
        try:
            layout = find_layout(file, asked)
        except DataError:
            layout = None
        if layout is None or set(layout.names) == OWN_TABLE:
            others.append(file.name)
        else:
            layouts.append(layout)
    # Viewer and item are a guess in a file without a header, which times bear out, or all files together.
    told = {"user", "item"} <= set(asked)
    sure = [layout for layout in layouts if layout.named or told or "time" in layout.columns]
    if not others and len({_signature(layout) for layout in layouts}) == 1:
        sure = layouts
    if not sure:
        raise _no_log(folder, layouts)
    others += [layout.file.name for layout in layouts if layout not in sure]
    layouts = sure
    best = max(layouts, key=lambda layout: len(layout.columns))
    alike = [layout for layout in layouts if _signature(layout) == _signature(best)]
    others += [layout.file.name for layout in layouts if layout not in alike]
    note = f"of {folder} read: {', '.join(layout.file.name for layout in alike)}"
    note += f"; left out: {', '.join(sorted(others))}" if others else ""
    return Found(layouts=tuple(alike), notes=(note,))


def _no_log(folder: Path, guesses: Sequence[Layout]) -> DataError:
    problem = "no file in this folder is a log"
    if guesses:
        names = ", ".join(layout.file.name for layout in guesses[:3])
        more = f" and {len(guesses) - 3:,} more" if len(guesses) > 3 else ""
        problem += f"; {names}{more} might be, but without a header or times that is a guess"
    return DataError(problem, file=folder, remedy="Name the file itself.")


def _signature(layout: Layout) -> tuple[Any, ...]:
    return (layout.form, layout.names, tuple(layout.columns.items()))


def open_table(source: Any, asked: Mapping[str, str]) -> tuple[Any, Layout]:
    """An Arrow table or stream of a pandas, polars or Arrow table, of the columns needed, and its layout.

    Raises:
        InputError: the source is no table.
        DataError: a column is missing or of no usable type.
    """
    if isinstance(source, (pa.Table, pa.RecordBatch)):
        names = source.schema.names
    elif hasattr(source, "iloc") or (hasattr(source, "__arrow_c_stream__") and hasattr(source, "columns")):
        names = [str(name) for name in source.columns]
    elif hasattr(source, "__arrow_c_stream__"):
        source = pa.RecordBatchReader.from_stream(source)
        names = source.schema.names
    else:
        raise InputError(
            f"A {type(source).__name__} is no log: give a file, a folder, several of them, or a pandas, "
            "polars or Arrow table (a lazy polars frame is collected first)."
        )
    layout = table_layout(names, asked, TABLE, form="table", described=_describe(source))
    names = [names[place] for place in dict.fromkeys(layout.columns.values())]
    try:
        return _arrow(source, names), layout
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        column, words = _unreadable(source, names, error)
        raise DataError(
            f"the column mixes types: {words}", file=TABLE, column=column, remedy="Make all of it strings."
        ) from error


def _unreadable(source: Any, names: Sequence[str], error: Exception) -> tuple[str | None, str]:
    """The first column that Arrow cannot take, and why."""
    for name in names:
        try:
            _arrow(source, [name])
        except (pa.ArrowInvalid, pa.ArrowTypeError) as found:
            return name, str(found.args[0]).splitlines()[0].rstrip(".")
    return None, str(error.args[0]).splitlines()[0].rstrip(".")


def _describe(source: Any) -> str:
    package = type(source).__module__.partition(".")[0]
    return f"{'Arrow' if package == 'pyarrow' else package} table"


def _arrow(source: Any, names: Sequence[str]) -> Any:
    if isinstance(source, pa.RecordBatch):
        source = pa.Table.from_batches([source])
    if isinstance(source, pa.Table):
        return source.select(list(names))
    if isinstance(source, pa.RecordBatchReader):
        return source
    chosen = source[[name for name in source.columns if str(name) in names]]
    if hasattr(chosen, "iloc"):
        return pa.Table.from_pandas(chosen, preserve_index=False)
    return pa.table(chosen)
