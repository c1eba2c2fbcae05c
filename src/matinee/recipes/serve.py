"""Serve bundles over HTTP: what can be refused is refused before anybody is let in."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from matinee.core.errors import InputError, MissingExtra


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """How a server goes.

    Attributes:
        bundles: folders that are bundles, or that hold bundles.
        host: the address to listen at.
        port: the port; 0: one that the system chooses.
        reuse_port: whether another server may listen there too, to take over.
        store: where events are kept.
        workers: processes that answer.
        retain: how long events are kept; None: for ever.
        id_key: the file of a key: viewers' ids are kept as hashes under it; None: as they are sent.
        placements: a TOML file with rules of placements; None: none.
        filters: a TOML file with filters for clients of Personalize; None: those that the store has.
        study: the folder of a search for settings, shown by the page; None: none.
        log: `json`, `plain` or `off`.
        log_file: where the log goes; None: standard error.
        notice_s: seconds in which new connections are still taken after SIGTERM.
    """

    bundles: Sequence[str]
    host: str = "127.0.0.1"
    port: int = 8000
    reuse_port: bool = False
    store: str = "sqlite:///matinee.db"
    workers: int = 1
    retain: str | None = None
    id_key: str | None = None
    placements: str | None = None
    filters: str | None = None
    study: str | None = None
    log: str = "json"
    log_file: str | None = None
    notice_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Serving:
    """A server that is ready.

    Attributes:
        address: where.
        pid: the process that takes signals.
        workers: the processes that answer.
        store: where events are kept, without a password.
        bundles: what is served.
    """

    address: str
    pid: int
    workers: Sequence[int]
    store: str
    bundles: Sequence[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "address": self.address,
            "pid": self.pid,
            "workers": list(self.workers),
            "store": self.store,
            "bundles": list(self.bundles),
        }


def serve(options: ServeOptions, *, ready: Callable[[Serving], None], say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; SIGHUP replaces the workers one after the other.

    Args:
        options: what and how.
        ready: called once every worker answers.
        say: told what happens.

    Raises:
        InputError: something is unusable; one sentence says what.
    """
    try:
        from matinee.serve.desk import require_extra
        from matinee.serve.supervisor import Supervisor, serve_until_told
        from matinee.serve.work import Work
    except ImportError as error:
        raise MissingExtra("Serving", "serve") from error
    from matinee.serve.bind import bind, passed_by_systemd

    require_extra()
    _check(options)
    listening = passed_by_systemd(os.environ)
    if listening is None:
        listening = bind(options.host, options.port, reuse_port=options.reuse_port)
    work = Work(
        bundles=tuple(options.bundles),
        store=options.store,
        descriptor=listening.socket.fileno(),
        lent=listening.lent,
        id_key=None if options.id_key is None else str(Path(options.id_key).absolute()),
        placements=options.placements,
        filters=options.filters,
        study=None if options.study is None else str(Path(options.study).absolute()),
        retain=options.retain,
        notice_s=options.notice_s,
        log=options.log,
        log_file=options.log_file,
    )
    address = listening.address

    def when_ready(facts: dict[str, Any], workers: list[int]) -> None:
        where = without_password(options.store)
        ready(
            Serving(address=address, pid=os.getpid(), workers=workers, store=where, bundles=facts["bundles"])
        )
        _tell_systemd("READY=1")

    serve_until_told(Supervisor(work=work, listening=listening, workers=options.workers, say=say), when_ready)


def without_password(url: str) -> str:
    """The URL of a store as it may be shown."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url.partition("?")[0]
    return f"{parts.scheme}://...@{parts.netloc.rpartition('@')[2]}{parts.path}"


def _check(options: ServeOptions) -> None:
    """Refuse what a look is enough to refuse.

    Raises:
        InputError: one sentence says what.
    """
    from matinee.serve.id_key import read_id_key
    from matinee.serve.request_log import FORMS
    from matinee.serve.retention import parse_retention

    if options.log not in FORMS:
        raise InputError(f"--log is {options.log!r}: expected {', '.join(FORMS)}.")
    if options.study is not None and not Path(options.study).is_dir():
        raise InputError(f"--study is {options.study!r}: expected the folder that `matinee tune -o` writes.")
    if options.id_key is not None:
        read_id_key(Path(options.id_key))
    if options.retain is not None:
        parse_retention(options.retain)
    if not 1 <= options.workers <= 256:
        raise InputError(f"--workers is {options.workers}: expected 1 to 256.")
    if not 0 <= options.notice_s <= 3600:
        raise InputError(f"--notice is {options.notice_s}: expected 0 to 3600 seconds.")
    for place in options.bundles:
        if not Path(place).is_dir():
            raise InputError(
                f"{place}: there is no such folder; `matinee fit LOG -o {place}` writes a bundle."
            )


def _tell_systemd(words: str) -> None:
    """Tell systemd how it goes, where it wants to know (Type=notify)."""
    place = os.environ.get("NOTIFY_SOCKET")
    if not place:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        try:
            out.connect("\0" + place[1:] if place.startswith("@") else place)
            out.sendall(words.encode())
        except OSError:
            # Whoever asked to be told is no longer there.
            return
