"""The table of commands, and the one place where an error becomes a sentence and an exit status."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable

import typer

from matinee.cli import (
    activate,
    check,
    compare,
    demo,
    evaluate,
    export,
    fit,
    import_,
    keys,
    quote,
    recommend,
    refresh,
    report,
    rollback,
    serve,
    similar,
    simulate,
    status,
    tune,
    version,
)
from matinee.core.errors import InputError, MatineeError
from matinee.core.processes import processes_here

# Commands import what they need inside their functions, so that `matinee --help` answers at once.
COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo.command,
    "check": check.command,
    "compare": compare.command,
    "evaluate": evaluate.command,
    "export": export.command,
    "fit": fit.command,
    "import": import_.command,
    "keys": keys.command,
    "quote": quote.command,
    "recommend": recommend.command,
    "refresh": refresh.command,
    "activate": activate.command,
    "rollback": rollback.command,
    "report": report.command,
    "serve": serve.command,
    "similar": similar.command,
    "simulate": simulate.command,
    "status": status.command,
    "tune": tune.command,
    "version": version.command,
}

# What a command that was stopped leaves behind; a fit that keeps anything says itself how to go on.
_LEFT = {
    "demo": "what was written by then is in its folder.",
    "tune": "what is finished is kept: the same command with --resume goes on from there.",
    "recommend": "of a table, the lists that are finished are kept: the same command goes on from there.",
}

# What several processes can do together; of anything else each would do all, and write over the others.
_TOGETHER = frozenset({"fit", "version"})

_INTERRUPTED = 128 + signal.SIGINT

# What another path, or room on the disk, mends.
_FOR_THE_USER = frozenset(
    getattr(errno, name) for name in ("ENOENT", "EACCES", "EPERM", "EISDIR", "EROFS", "ENOSPC", "EDQUOT")
)

app = typer.Typer(
    name="matinee",
    help="From a log of who watched what to an honest scoreboard and titled recommendations.",
    epilog="Start with: matinee demo",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)


def main() -> None:
    """Run the command line; exit status 0 done, 2 unusable input or call, 3 a gate refused, 1 any other."""
    # Asked to end by the system, a command leaves as tidily as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _refuse_crowd(sys.argv[1:])
        app(prog_name="matinee")
    except MatineeError as error:
        _say(str(error))
        sys.exit(error.exit_status)
    except (KeyboardInterrupt, SystemExit) as leaving:
        # typer turns Ctrl-C into this exit status and says nothing.
        if isinstance(leaving, SystemExit) and leaving.code != _INTERRUPTED:
            raise
        _say(f"Stopped; {_LEFT.get(''.join(sys.argv[1:2]), 'nothing was written.')}")
        sys.exit(1)
    except BrokenPipeError:
        # The reader of a pipe went away (`matinee ... | head`): nothing is left to be told to anybody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except MemoryError:
        _say("The machine has too little memory for this; `matinee check` says what a fit would need.")
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _say(f"{where}{error.strerror or error}.")
        sys.exit(2 if error.errno in _FOR_THE_USER else 1)


def _refuse_crowd(words: list[str]) -> None:
    """Refuse what `torchrun` started in several processes, and one is to do."""
    processes = processes_here()
    asked = "".join(words[:1])
    if processes.size == 1 or asked not in COMMANDS or asked in _TOGETHER:
        return
    if not processes.first:
        sys.exit(InputError.exit_status)
    raise InputError(
        f"matinee {asked} is for one process, found {processes.size}: start it without torchrun."
    )


def _say(sentence: str) -> None:
    print(f"matinee: {sentence}", file=sys.stderr)
