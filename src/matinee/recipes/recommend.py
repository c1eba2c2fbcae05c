"""Answers from a fitted model: one list with titles and reasons, or everybody's as a nightly table."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Container, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from matinee.answers.event_context import VALUE
from matinee.answers.model import Model
from matinee.answers.rules import Rules, Shelf
from matinee.answers.top import FALLBACK, asked_of
from matinee.core.errors import DataError, InputError
from matinee.core.types import Int64
from matinee.recipes.nightly import FileTable, Plan, Sink
from matinee.recipes.postgres_table import PostgresTable
from matinee.recipes.rows import predicts_values

Progress = Callable[[str, float], None]

# Viewers of one chunk of the nightly table: what a kill loses, and a row group of the Parquet file.
CHUNK = 16_384
_HEADERS = ("id", "user", "user_id", "viewer", "item", "item_id")


def recommend_one(
    model: Model,
    *,
    user: str | None = None,
    history: Sequence[str] = (),
    values: Sequence[float] = (),
    k: int = 10,
    rules: Rules | None = None,
) -> dict[str, Any]:
    """One asker's list with titles, scores and reasons.

    Args:
        model: a fitted model.
        user: a viewer's id; None: the asker is a newcomer with a history.
        history: item ids, oldest first, where there is no user.
        values: what was given to each item of the history, for a model of values; empty: not known.
        k: how many items.
        rules: what must not be shown.

    Returns:
        The JSON of `recommend`: user, source, recommendation_id, items; and `unknown`, how many items of the
        history the catalogue lacks.

    Raises:
        InputError: a user and a history were given, an id is blank, or the bundle knows no viewers.
    """
    if user is not None and len(history):
        raise InputError("Give either a viewer or a history, not both.")
    if len(values) not in (0, len(history)):
        raise InputError(
            f"Give one value for each item of the history: {len(history)} items, {len(values)} values."
        )
    if len(values) and not (predicts_values(model.name) or VALUE in model.reads):
        raise InputError(f"{model.name} takes no values of a history: leave --value out.")
    if any(not one.strip() for one in (*history, *(() if user is None else (user,)))):
        raise InputError("A blank id is nobody's and nothing's: give an id of the log.")
    rules = rules or Rules()
    unknown = 0
    if user is not None:
        asker = model.askers([user])
    else:
        asker, lacking = model.newcomers([list(history)], [list(values)] if len(values) else None)
        unknown = int(lacking[0])
    asker = asker.at(rules.region)
    codes, scores, told = model.answer(asker, k, Shelf(model.log, rules))
    personal = bool(told[0])
    given = [int(code) for code in codes[0] if code >= 0]
    reasons = model.reasons_of(asker, given, personal=personal)
    items = [
        {
            "item": model.log.items.id(code),
            "title": model.title(code),
            "score": float(score),
            "reasons": why,
        }
        for code, score, why in zip(given, scores[0, : len(given)], reasons, strict=True)
    ]
    return {
        "user": user,
        "source": model.name if personal else FALLBACK,
        "recommendation_id": _recommendation_id(model, user, history, items),
        "items": items,
        "unknown": unknown,
    }


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a nightly table came to.

    Attributes:
        output: where it is, without a password.
        viewers: how many lists it holds.
        kept: viewers whose lists an earlier, interrupted run had computed.
        cpu_s: CPU-seconds of this run.
        wall_s: seconds of this run.
    """

    output: str
    viewers: int
    kept: int
    cpu_s: float
    wall_s: float

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def recommend_all(
    model: Model,
    output: str,
    *,
    users: Sequence[str] | None = None,
    k: int = 10,
    rules: Rules | None = None,
    progress: Progress = lambda _doing, _share: None,
) -> Written:
    """Everybody's list as one table: columns user, rank, item, score, source.

    The lists are computed in chunks of viewers that are kept as they are finished, so that a run which was
    killed goes on where it stopped, and ends with the same table. The table appears when it is complete.

    Args:
        model: a fitted model.
        output: a .parquet or .csv file, or postgresql://...[?table=NAME].
        users: viewer ids, blank ones left out; None: all viewers of the log.
        k: how many items each.
        rules: what must not be shown.
        progress: called with what is being done and the share that is done.

    Raises:
        InputError: the bundle knows no viewers, or the output cannot be written, or another run writes it.
        MissingExtra: PostgreSQL was asked for and psycopg is not installed.
    """
    cpu, wall = time.process_time(), time.perf_counter()
    rules = rules or Rules()
    ids, codes = _everybody(model) if users is None else _some(model, users)
    with sink_of(output) as sink:
        plan, done = sink.begin(_plan_of(model, users, k, rules))
        shelf, kept = Shelf(model.log, replace(rules, now=plan.now_ms)), 0
        starts = range(0, len(ids), CHUNK)
        for chunk, start in enumerate(starts):
            part = slice(start, min(start + CHUNK, len(ids)))
            if chunk in done:
                kept += part.stop - part.start
                continue
            progress(f"{start:,} of {len(ids):,} viewers", start / len(ids))
            answers = model.answer(model.askers_of(codes[part]), k, shelf)
            sink.write(chunk, model.top_items(ids[part], *answers).to_arrow())
        progress("putting the table in its place", 1.0)
        sink.finish(len(starts))
        shown = sink.output
    return Written(
        output=shown,
        viewers=len(ids),
        kept=kept,
        cpu_s=time.process_time() - cpu,
        wall_s=time.perf_counter() - wall,
    )


def sink_of(output: str) -> AbstractContextManager[Sink]:
    """The sink of an output that a person named.

    Raises:
        InputError: the output's kind is unknown or it cannot be written there.
        MissingExtra: PostgreSQL, without psycopg.
    """
    if output.startswith(("postgresql://", "postgres://")):
        return PostgresTable(output)
    return FileTable(output)


def check_output(output: str) -> None:
    """Refuse, before any work, an output that could not be written after it.

    Raises:
        InputError: its kind is unknown, or its folder is missing or read-only.
        MissingExtra: PostgreSQL, without psycopg.
    """
    sink_of(output)


def read_ids(path: str) -> list[str]:
    """Ids from a file: one a line, or the first column of a Parquet file; blank lines are left out.

    A first line such as `user` may be a heading or an id: `but_heading` tells, with the log at hand.

    Raises:
        DataError: the file cannot be read as text or Parquet, or holds no id.
    """
    import pyarrow.parquet as pq

    file = Path(path)
    try:
        with file.open("rb") as opened:
            parquet = opened.read(4) == b"PAR1"
        if parquet:
            ids = pq.read_table(file).column(0).cast(pa.large_string()).to_pylist()
        else:
            ids = file.read_text(encoding="utf-8-sig").splitlines()
    except (UnicodeDecodeError, pa.ArrowException) as error:
        raise DataError("expected ids, one a line (UTF-8), or a Parquet file", file=file) from error
    ids = [one for one in ids if one and one.strip()]
    if not ids:
        raise DataError("expected ids, one a line, found none", file=file)
    return ids


def but_heading(ids: Sequence[str], known: Container[str]) -> list[str]:
    """Ids from a file without its heading: a first line that says what ids are, and is none itself.

    Args:
        ids: the file's lines.
        known: the ids that there are.
    """
    heads = len(ids) > 1 and ids[0].strip().lower() in _HEADERS and ids[0] not in known
    return list(ids[1:] if heads else ids)


def _everybody(model: Model) -> tuple[pa.Array, Int64]:
    """Ids and codes of all viewers of a model's log but the deleted."""
    ids = model.log.viewers.arrow
    codes = np.arange(len(ids), dtype=np.int64)
    if model.deleted:
        gone = np.asarray(model.log.viewers.codes(sorted(model.deleted)))
        codes = np.delete(codes, gone[gone >= 0])
        ids = ids.take(pa.array(codes))
    return ids, codes


def _some(model: Model, users: Sequence[str]) -> tuple[pa.Array, Int64]:
    """Ids and codes of some viewers, each once, in the order asked."""
    ids = [one for one in dict.fromkeys(users) if one.strip()]
    return asked_of(ids), model.askers(ids).viewers


def _plan_of(model: Model, users: Sequence[str] | None, k: int, rules: Rules) -> Plan:
    """What makes two runs the same run: bundle, viewers, ties, k, rules; a clock's now is the first one's."""
    asked = {**asdict(rules), "now": None if rules.now is None else rules.now_ms}
    who = "all" if users is None else list(users)
    text = json.dumps([model.fingerprint, sorted(model.deleted), model.ties, k, CHUNK, asked, who])
    # A model that was never saved has no fingerprint, so nothing tells whether an earlier run was its own.
    key = hashlib.sha256(text.encode()).hexdigest() if model.fingerprint else f"unsaved {time.time_ns()}"
    return Plan(key=key, now_ms=rules.now_ms)


def _recommendation_id(model: Model, user: str | None, history: Sequence[str], items: Any) -> str:
    """What events can name to say which list they came from: the same answer of a bundle has the same one."""
    shown = [one["item"] for one in items]
    text = json.dumps([model.fingerprint or model.log.fingerprint, model.name, user, list(history), shown])
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
