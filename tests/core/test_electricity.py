import pytest

from matinee.core.electricity import electricity_dollars
from matinee.core.errors import SettingsError


def test_five_dollars_are_about_a_week():
    assert electricity_dollars(7 * 24 * 3600) == pytest.approx(5.04)


def test_power_and_price_can_be_said(monkeypatch):
    monkeypatch.setenv("MATINEE_WATTS", "300")
    monkeypatch.setenv("MATINEE_PRICE_PER_KWH", "0.1")
    assert electricity_dollars(3600) == pytest.approx(0.03)


@pytest.mark.parametrize("words", ["much", "-1", "nan", "inf"])
def test_what_is_no_price_is_refused(monkeypatch, words):
    monkeypatch.setenv("MATINEE_PRICE_PER_KWH", words)
    with pytest.raises(SettingsError, match="MATINEE_PRICE_PER_KWH"):
        electricity_dollars(1)
