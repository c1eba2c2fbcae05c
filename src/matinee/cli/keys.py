"""`matinee keys`: who may ask a server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from matinee.cli.given import refuse_blank
from matinee.cli.output import JsonPath, Output, Quiet
from matinee.core.errors import InputError
from matinee.core.words import counted

if TYPE_CHECKING:
    from matinee.serve.keys import Key

_ACTIONS = ("add", "list", "revoke")


def command(
    action: Annotated[str, typer.Argument(metavar="add|list|revoke", help="What to do.")],
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="What the key is for; to revoke, that or its id.")
    ] = None,
    *,
    store: Annotated[
        str, typer.Option("--store", metavar="URL", help="The server's store.")
    ] = "sqlite:///matinee.db",
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", metavar="read|write|admin", help="What it is good for; may be given again."),
    ] = None,
    json_path: JsonPath = None,
    quiet: Quiet = False,
) -> None:
    """Make a key, list them, or make one worthless. A key is shown once; only its hash is kept.

    A running server knows at once, and asks for one from the first one on.

    Example: matinee keys add website --store sqlite:///matinee.db --scope read --scope write
    """
    from matinee.recipes.keys import add_key, aws_pair, list_keys, revoke_key

    out = Output(json_path, quiet)
    refuse_blank("--store", store, "a store such as sqlite:///matinee.db")
    if action not in _ACTIONS:
        raise InputError(f"matinee keys {action}: expected one of {', '.join(_ACTIONS)}.")
    if action == "list":
        found = list_keys(store)
        for key in found:
            out.say(_line(key))
        none = "There is no key: the server answers this machine alone."
        out.say(f"{counted(len(found), 'key')}." if found else none)
        out.result([_facts(key) for key in found])
        return
    if name is None:
        raise InputError(f"matinee keys {action} NAME: say which key.")
    if action == "revoke":
        gone = revoke_key(store, name)
        out.say(f"The key {gone.name} ({gone.id}) is worthless from now on.")
        out.result(_facts(gone))
        return
    key, text = add_key(store, name, scope or ["read"])
    key_id, signs = aws_pair(store, key)
    out.say(f"{_line(key)}\nIt is shown this once:\n{text}")
    out.say(f"Clients of Amazon Personalize sign with access key id {key_id}, secret access key {signs}")
    pair = {"aws_access_key_id": key_id, "aws_secret_access_key": signs}
    out.result({**_facts(key), "key": text, **pair})


def _line(key: Key) -> str:
    return f"{key.id}  {_day(key.made_ms)}  {', '.join(key.scopes)}  {key.name}"


def _facts(key: Key) -> dict[str, object]:
    return {"id": key.id, "name": key.name, "scopes": list(key.scopes), "made_ms": key.made_ms}


def _day(made_ms: int) -> str:
    return datetime.fromtimestamp(made_ms / 1000, UTC).date().isoformat()
