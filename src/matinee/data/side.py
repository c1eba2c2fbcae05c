"""Side tables: what stands beside a log joins it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from matinee.data.aliases import read_aliases
from matinee.data.friends import read_friends
from matinee.data.items import plain_items, read_items
from matinee.data.log import InteractionLog
from matinee.data.options import LogOptions
from matinee.data.vectors import read_vectors
from matinee.data.viewers import read_viewers


def attach(log: InteractionLog, options: LogOptions, base: Path | None = None) -> InteractionLog:
    """Attach the items, viewers, friends and vectors that the options name.

    Items first: those that nobody watched join the catalogue behind the log's, so that vectors find them.
    The table of items always has `id` and `title`; without a file each item is called by its id.

    Args:
        log: the log, indexed.
        options: which files there are.
        base: a folder where a relative name is looked for if it is not found from where the program runs;
            None: nowhere else.

    Raises:
        DataError: a file is missing or unusable; the message names file, row and column.
    """
    aliases = read_aliases(locate(options.aliases, base)) if options.aliases else {}
    notes = list(log.notes)
    if options.items:
        items, table, found = read_items(locate(options.items, base), log.items, skip_bad=options.skip_bad)
        log = replace(log, items=items, item_table=table)
        notes += found
    elif "title" not in log.item_table.column_names:
        log = replace(log, item_table=plain_items(log.items))
    if options.viewers:
        path = locate(options.viewers, base)
        viewer_table, found = read_viewers(path, log.viewers, aliases, skip_bad=options.skip_bad)
        log = replace(log, viewer_table=viewer_table)
        notes += found
    if options.friends:
        path = locate(options.friends, base)
        friends, found = read_friends(path, log.viewers, aliases, skip_bad=options.skip_bad)
        log = replace(log, friends=friends)
        notes += found
    if options.vectors:
        vectors, found = read_vectors(locate(options.vectors, base), log.items)
        log = replace(log, vectors=vectors)
        notes += found
    return replace(log, notes=tuple(notes))


def locate(name: str, base: Path | None) -> Path:
    """The file of a name: from where the program runs, or else in the folder `base`."""
    path = Path(name).expanduser()
    if base is None or path.is_absolute() or path.exists():
        return path
    return base / path if (base / path).exists() else path
