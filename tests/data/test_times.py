"""Times: every unit and type becomes milliseconds; what is no time is said to be none."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from matinee.data.times import to_ms

MS = 978300760_123


@pytest.mark.parametrize(
    ("array", "ms", "unit"),
    [
        (pa.array([978300760]), 978300760_000, "seconds"),
        (pa.array([978300760], pa.int32()), 978300760_000, "seconds"),
        (pa.array([978300760.123]), MS, "seconds"),
        (pa.array([MS]), MS, "milliseconds"),
        (pa.array([float(MS)]), MS, "milliseconds"),
        (pa.array([MS * 1000 + 7]), MS, "microseconds"),
        (pa.array([MS * 1_000_000 + 7]), MS, "nanoseconds"),
        (pa.array([" 978300760"]), 978300760_000, "seconds"),
        (pa.array(["978300760.123"]), MS, "seconds"),
        (pa.array(["2000-12-31T22:12:40.123"]), MS, "dates"),
        (pa.array(["2000-12-31T22:12:40.123Z"]), MS, "dates"),
        (pa.array(["2000-12-31 22:12:40.123 UTC"]), MS, "dates"),
        (pa.array(["2000-12-31T23:12:40.123000000+01:00"]), MS, "dates"),
        (pa.array(["2000-12-31"]), 978220800_000, "dates"),
        (pa.array([dt.datetime(2000, 12, 31, 22, 12, 40, 123000)]), MS, "dates"),
        (
            pa.array([dt.datetime(2000, 12, 31, 22, 12, 40, 123000)]).cast(pa.timestamp("ns", "Asia/Tokyo")),
            MS,
            "dates",
        ),
        (pa.array([dt.date(2000, 12, 31)]), 978220800_000, "dates"),
        (pa.array(["978300760"]).dictionary_encode(), 978300760_000, "seconds"),
    ],
)
def test_units_and_types(array, ms, unit):
    times = to_ms(array)
    assert times.bad is None
    assert times.ms.tolist() == [ms]
    assert dict(times.units) == {unit: 1}


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.string()])
def test_mixed_units_are_read_each_by_its_size(kind):
    times = to_ms(pa.array([978300760, MS, 978300761]).cast(kind))
    assert times.ms.tolist() == [978300760_000, MS, 978300761_000]
    assert times.bad is None
    assert dict(times.units) == {"seconds": 2, "milliseconds": 1}


def test_dates_and_numbers_may_mix():
    times = to_ms(pa.array(["978300760", "2000-12-31T22:12:41", "2000-12-31T22:12:42Z"]))
    assert times.ms.tolist() == [978300760_000, 978300761_000, 978300762_000]
    assert times.bad is None


@pytest.mark.parametrize(
    "array",
    [
        pa.array([978300760, 0]),
        pa.array([978300760, -5]),
        pa.array([978300760, None]),
        pa.array([978300760.0, float("nan")]),
        pa.array([978300760.0, float("inf")]),
        pa.array(["978300760", ""]),
        pa.array(["2000-12-31", "yesterday"]),
        pa.array(["2000-12-31", "1969-12-31"]),
        pa.array(["2000-12-31", "2000-13-31"]),
        pa.array(["2000-12-31", None]),
        pa.array([dt.datetime(2000, 12, 31), dt.datetime(1960, 1, 1)]),
    ],
)
def test_what_is_no_time_after_1970_is_bad(array):
    times = to_ms(array)
    assert times.bad is not None
    assert times.bad.tolist() == [False, True]


def test_a_type_that_holds_no_times_is_refused():
    with pytest.raises(pa.ArrowInvalid, match="holds no times"):
        to_ms(pa.array([True]))


def test_no_rows():
    assert to_ms(pa.array([], pa.int64())).ms.dtype == np.int64
