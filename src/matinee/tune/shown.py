"""`status.json` of a study's folder: what `matinee status` says, for whoever only looks, as a page does.

The study itself is its log; this file may lag behind it, and nothing is ever read back from it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from matinee.tune.study import Study, study_facts

NAME = "status.json"
# Writing may take this share of the time: a study of ten thousand trials is written less often.
_SHARE = 0.02


class Shown:
    """Tells of a study, and writes it down for those who look.

    Args:
        folder: the study's.
        tell: called as well, with every study that this is called with.
    """

    def __init__(self, folder: Path, tell: Callable[[Study], None]) -> None:
        self._folder, self._tell = folder, tell
        self._next_s = 0.0

    def __call__(self, study: Study) -> None:
        """Tell of it; write it down where that is due."""
        self._tell(study)
        if time.monotonic() >= self._next_s:
            self.write(study, active=True)

    def write(self, study: Study, *, active: bool) -> None:
        """Write it down, whole, or not at all where that fails: a study goes on without a page.

        Args:
            study: the study.
            active: whether somebody works on it.
        """
        began = time.monotonic()
        draft = self._folder / f".{NAME}.draft"
        with suppress(OSError):
            draft.write_text(json.dumps(study_facts(study, name=str(self._folder), active=active)))
            draft.replace(self._folder / NAME)
        now = time.monotonic()
        self._next_s = now + (now - began) / _SHARE
