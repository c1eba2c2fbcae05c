"""Searching any f(settings) -> (value, dollars): larger values are better, and dollars are obeyed."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matinee.tune.run import StudyResult


class _Door(ModuleType):
    """`matinee.tune(...)` searches: Python binds this folder to that name, so the folder is called."""

    def __call__(self, *arguments: Any, **named: Any) -> StudyResult:
        """What `matinee.tune.run.tune` does, with the same arguments."""
        from matinee.tune.run import tune

        return tune(*arguments, **named)


sys.modules[__name__].__class__ = _Door
