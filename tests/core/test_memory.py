import pytest

from matinee.core import memory
from matinee.core.errors import TooLarge


def test_there_is_memory() -> None:
    assert memory.available_bytes() > 0


def test_what_fits_passes() -> None:
    memory.require_memory("a byte", 1)


def test_what_does_not_fit_is_refused_with_both_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 2 * 10**9)
    with pytest.raises(TooLarge, match=r"would need 30\.0 GB of memory, 2\.0 GB are available\. Set fewer\."):
        memory.require_memory("ials", 30 * 10**9, "Set fewer.")
