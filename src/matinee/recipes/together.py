"""Several processes fit one recommender: the first does all that one would do, the others train along.

`torchrun` starts the same command in each. The first reads, prepares, validates and writes; another one waits
until the first is ready to train a network, reads the same log (on the same machine the index that the first
has made), trains its share of every batch, and is done when the network is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from matinee.answers.manifest import is_bundle, read_tombstones
from matinee.core.errors import MatineeError, MissingExtra, Stopped
from matinee.core.processes import Processes
from matinee.core.stopping import stop_on_signals
from matinee.data.forget import forget
from matinee.data.log import InteractionLog
from matinee.data.split import split_log
from matinee.recipes.fit import FitOptions

# How long the first process is waited for where it has not yet looked why another one cannot go on.
_NOTICE_S = 600.0


@contextmanager
def leading(processes: Processes) -> Iterator[None]:
    """While the first process fits, the others can find it; once it is done, or is not, they are told."""
    if processes.size == 1:
        yield
        return
    try:
        from matinee.train.meeting import END, meeting_of
    except ImportError as error:
        raise MissingExtra("Fitting in several processes", "network") from error
    meeting = meeting_of(processes)
    try:
        yield
    finally:
        meeting.tell(END)


def follow(read: Callable[[], InteractionLog], output: Path, options: FitOptions) -> int:
    """Be one of the other processes of `fit_bundle`.

    Args:
        read: reads the log.
        output: the bundle's folder; viewers who were deleted from it stay deleted.
        options: how to fit, with this process's place among the others.

    Returns:
        The status to end with; what went wrong is said by the first process, unless that is gone.
    """
    with stop_on_signals(patient=True) as asked:
        from matinee.recommenders.network_fit import train_along
        from matinee.train.meeting import END, Lost, meeting_of

        run = replace(options.run, should_stop=asked)
        try:
            meeting = meeting_of(run.processes)
            train_along(lambda: _learnt(read(), output, options), options.seed, run)
        except Stopped:
            # The first one saves, and says so.
            return 0
        except Lost as error:
            print(f"matinee: {error}", file=sys.stderr)
            return error.exit_status
        except MatineeError as error:
            meeting.fail(str(error))
            meeting.heard(END, _NOTICE_S)
            return error.exit_status
    return 0


def _learnt(log: InteractionLog, output: Path, options: FitOptions) -> InteractionLog:
    """What is learnt from: as `fit_bundle` finds it."""
    options.check()
    log = forget(log, read_tombstones(output) if is_bundle(output) else frozenset())
    if options.hold_out is None:
        return log
    return split_log(log, options.hold_out, seed=options.seed).train_and_validation
