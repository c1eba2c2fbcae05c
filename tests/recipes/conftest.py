"""What tests of recipes share: recommenders that train in steps, here and in the processes that fit."""

import importlib.util
import sys
from pathlib import Path

import pytest

from matinee.recommenders import RECOMMENDERS


@pytest.fixture
def steppers(tmp_path, monkeypatch):
    """The module `steppers`, its recommenders known here and to every fit's own process."""
    place = Path(__file__).with_name("steppers.py")
    spec = importlib.util.spec_from_file_location("steppers", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(RECOMMENDERS, "stepper", module.Stepper)
    monkeypatch.setitem(RECOMMENDERS, "pair", module.Pair)
    monkeypatch.setenv("STEPPERS_NOTES", str(tmp_path / "notes"))
    monkeypatch.setattr(sys, "executable", module.program(tmp_path))
    return module
