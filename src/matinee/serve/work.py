"""What a worker process is told to do, as one line of JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from matinee.serve.service import Limits


@dataclass(frozen=True, kw_only=True)
class Work:
    """The work of one process.

    Attributes:
        bundles: folders that are bundles or hold some.
        store: its URL.
        descriptor: the bound socket, inherited.
        lent: whether systemd holds that socket too.
        first: whether this process takes histories into the store, and deletes old events.
        placements: a TOML file of placements; None: none.
        filters: a TOML file of filters for clients of Personalize; None: those that the store has.
        study: the folder of a search that the page shows; None: none.
        id_key: the file of the key that makes hashes of viewers' ids; None: ids are kept as they are.
        retain: how long events are kept, such as `13months`; None: for ever.
        notice_s: how long new connections are taken after the server was asked to end.
        log: `json`, `plain` or `off`.
        log_file: where lines go; None: standard error.
        limits: what comes in at most.
    """

    bundles: tuple[str, ...]
    store: str
    descriptor: int
    lent: bool = False
    first: bool = False
    placements: str | None = None
    filters: str | None = None
    study: str | None = None
    id_key: str | None = None
    retain: str | None = None
    notice_s: float = 0.0
    log: str = "json"
    log_file: str | None = None
    limits: Limits = Limits()  # noqa: RUF009 - frozen

    def line(self, *, first: bool) -> bytes:
        """As a line."""
        return json.dumps(asdict(replace(self, first=first))).encode() + b"\n"


def work_of(line: bytes) -> Work:
    """The work that `Work.line` wrote."""
    told: dict[str, Any] = json.loads(line)
    told["bundles"] = tuple(told["bundles"])
    told["limits"] = Limits(**told["limits"])
    return Work(**told)
