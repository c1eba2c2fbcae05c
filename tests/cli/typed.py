"""A command as somebody types it, without a start of Python for each: the same door, in this very process."""

import os
import signal
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest import mock

from matinee.cli import main


def typed(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `matinee WORDS` in a folder.

    Args:
        words: what follows `matinee`.
        cwd: the folder that it is typed in.
        environment: variables that are set for it.
    """
    said, complained, status = StringIO(), StringIO(), 0
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with (
            chdir(cwd),
            mock.patch.object(sys, "argv", ["matinee", *words]),
            mock.patch.dict(os.environ, environment),
            redirect_stdout(said),
            redirect_stderr(complained),
        ):
            main()
    except SystemExit as leaving:
        status = int(leaving.code or 0)
    finally:
        signal.signal(signal.SIGTERM, handler)
    return subprocess.CompletedProcess(words, status, said.getvalue(), complained.getvalue())
