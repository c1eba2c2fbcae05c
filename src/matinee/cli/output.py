"""Where words go: people read standard output, programs the JSON, progress bars are for terminals."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from matinee.cli.given import check_writable

if TYPE_CHECKING:
    from rich.console import Console

JsonPath = Annotated[
    str | None, typer.Option("--json", metavar="PATH", help="Write the result as JSON; - is standard output.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no words, only errors.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Seed of everything random.")]
Device = Annotated[
    str,
    typer.Option(
        "--device", metavar="NAME", help="Where networks train: auto (a GPU if any), cpu, gpu, cuda:0."
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision", metavar="NAME", help="auto (bf16 where the machine has units for it), fp32, bf16."
    ),
]
TieSeed = Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the order of equal scores.")]

_LINE_EVERY_S = 30.0

Progress = Callable[[str, float], None]
"""Called with what is being done and the share that is done, 0 to 1."""


class Output:
    """Where the words, the JSON and the progress of one command go.

    Args:
        json_path: where to write the machine-readable result; "-" is standard output, and every word goes
            to standard error then; None: nowhere.
        quiet: print no words and no progress.

    Attributes:
        quiet: whether nothing is printed.
    """

    def __init__(self, json_path: str | None, quiet: bool) -> None:
        self._json_path, self.quiet = json_path, quiet
        if json_path != "-":
            check_writable("--json", json_path)

    def console(self) -> Console:
        """The console that people read."""
        from rich.console import Console

        stream = sys.stderr if self._json_path == "-" else sys.stdout
        # Files and pipes get lines as long as they come: a wrapped table is of no use to `grep`.
        width = None if stream.isatty() else 160
        return Console(file=stream, quiet=self.quiet, width=width, highlight=False, markup=False)

    def say(self, words: object = "") -> None:
        """Print words, or anything that rich can render."""
        self.console().print(words)

    def result(self, value: Any) -> None:
        """Write the machine-readable result; NaN and infinities become null."""
        if self._json_path is None:
            return
        text = json.dumps(_plain(value), indent=1, ensure_ascii=False)
        if self._json_path == "-":
            sys.stdout.write(text + "\n")
        else:
            Path(self._json_path).write_text(text + "\n", encoding="utf-8")

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """A progress bar, on a terminal only; elsewhere, such as in a job's log, a line now and then."""
        if self.quiet:
            yield lambda _doing, _share: None
            return
        if not sys.stderr.isatty():
            yield _now_and_then()
            return
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar
        from rich.table import Column

        # What a fit says of itself is long: on a narrow terminal its end is cut, never the share.
        said = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        columns = (
            BarColumn(bar_width=12),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False, table_column=said),
        )
        with Bar(*columns, console=Console(stderr=True), transient=True, expand=True) as bar:
            task = bar.add_task("", total=1.0)
            yield lambda doing, share: bar.update(task, description=doing, completed=share)


def _now_and_then() -> Progress:
    """Writes a line to standard error, half a minute after the last one at the earliest."""
    told = monotonic()

    def tell(doing: str, share: float) -> None:
        nonlocal told
        if monotonic() - told >= _LINE_EVERY_S:
            told = monotonic()
            print(f"{share:4.0%} {doing}", file=sys.stderr, flush=True)

    return tell


def _plain(value: Any) -> Any:
    """The value with every number that JSON lacks replaced by null."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
