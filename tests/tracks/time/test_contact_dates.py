"""The dates of a contact come true on the contact's own calendar, also those that come every year."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tracks.time.zones import instants, wall, zones
from tracks.time.durations import Shift
from tracks.time.local_time import date_moment, next_yearly


def loads(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


@pytest.mark.parametrize(
    ("value", "offset", "at", "expected"),
    [
        ("2026-04-01", 0, None, "2026-04-01T00:00+02:00"),
        (" 2026-04-01 ", 0, time(9), "2026-04-01T09:00+02:00"),
        ("2026-04-01", -7, time(9), "2026-03-25T09:00+01:00"),  # the clocks change in between: still nine
        ("2026-04-01", -7, None, "2026-03-25T00:00+01:00"),
        ("2026-04-01T10:00", -7, None, "2026-03-25T10:00+01:00"),
        ("2026-04-01T22:30:00Z", 0, None, "2026-04-02T00:30+02:00"),
        ("2026-04-01T22:30:00Z", 0, time(9), "2026-04-02T09:00+02:00"),  # already the second in Berlin
        ("2026-03-29T02:30", 0, None, "2026-03-29T03:00+02:00"),  # in the gap
        (date(2026, 4, 1), 1, None, "2026-04-02T00:00+02:00"),
        (datetime.fromisoformat("2026-04-01T10:00"), 0, None, "2026-04-01T10:00+02:00"),
    ],
)
def test_dates_of_a_contact_come_true_on_their_own_calendar(
    value: object, offset: int, at: time | None, expected: str
) -> None:
    found = date_moment(value, Shift(offset), "Europe/Berlin", at)
    assert found == datetime.fromisoformat(expected)


def test_hours_of_an_offset_are_hours_even_across_a_change() -> None:
    found = date_moment("2026-03-29T12:00", Shift(0, timedelta(hours=-24)), "Europe/Berlin", None)
    assert found == datetime.fromisoformat("2026-03-28T11:00+01:00")
    day = date_moment("2026-03-29T12:00", Shift(-1), "Europe/Berlin", None)
    assert day == datetime.fromisoformat("2026-03-28T12:00+01:00")
    both = date_moment("2026-03-29T12:00", Shift(-1, timedelta(hours=-12)), "Europe/Berlin", None)
    assert both == datetime.fromisoformat("2026-03-28T00:00+01:00")


@pytest.mark.parametrize(
    "value",
    [None, "", "soon", "01.04.2026", "2026-13-01", "2026-02-30", "20260401", 20260401, 1.5, True, [], {}, "2026"],
)
def test_what_is_not_a_date_is_no_yearly_date_either(value: object) -> None:
    assert next_yearly(value, Shift(), "Europe/Berlin", None, datetime(2026, 1, 1, tzinfo=UTC), "feb-28") is None


@pytest.mark.parametrize(
    "value",
    [None, "", "soon", "01.04.2026", "2026-13-01", "2026-02-30", "20260401", 20260401, 1.5, True, [], {}, "2026"],
)
def test_what_is_not_a_date_is_never_a_moment(value: object) -> None:
    assert date_moment(value, Shift(), "Europe/Berlin", None) is None


@pytest.mark.parametrize(
    "value",
    [
        "2027-03-01T00:00:00.000Z",
        "2027-03-01T00:00:00+14:00",
        "2027-03-01T23:59:59-05:00",
        "2027-03-01",
        "2027-03-01T12:00",
        date(2027, 3, 1),
        datetime(2027, 3, 1, 23, tzinfo=UTC),
    ],
)
@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati", "UTC"])
def test_of_a_date_only_nothing_but_the_date_counts_wherever_somebody_lives(value: object, zone: str) -> None:
    found = date_moment(value, Shift(), zone, time(9), date_only=True)
    assert found is not None
    assert wall(found, ZoneInfo(zone)) == datetime.fromisoformat("2027-03-01T09:00")


def test_midnight_in_utc_is_the_day_before_in_new_york_unless_it_is_a_date_only() -> None:
    found = date_moment("2027-03-01T00:00:00.000Z", Shift(), "America/New_York", time(9))
    assert found == datetime.fromisoformat("2027-02-28T09:00-05:00")


@pytest.mark.parametrize(
    ("value", "now", "leap_day", "expected"),
    [
        ("1990-06-15", "2026-06-01T00:00+02:00", "feb-28", "2026-06-15T09:00+02:00"),
        ("1990-06-15", "2026-06-15T08:59+02:00", "feb-28", "2026-06-15T09:00+02:00"),
        ("1990-06-15", "2026-06-15T09:00+02:00", "feb-28", "2027-06-15T09:00+02:00"),  # it is over
        ("--06-15", "2026-12-31T23:59+01:00", "feb-28", "2027-06-15T09:00+02:00"),
        ("--0615", "2026-12-31T23:59+01:00", "feb-28", "2027-06-15T09:00+02:00"),
        ("2090-06-15", "2026-06-01T00:00+02:00", "feb-28", "2026-06-15T09:00+02:00"),  # the year does not matter
        ("1992-02-29", "2027-01-01T00:00+01:00", "feb-28", "2027-02-28T09:00+01:00"),
        ("1992-02-29", "2027-01-01T00:00+01:00", "mar-1", "2027-03-01T09:00+01:00"),
        ("--02-29", "2028-01-01T00:00+01:00", "mar-1", "2028-02-29T09:00+01:00"),
        ("--02-29", "2099-03-02T00:00+01:00", "feb-28", "2100-02-28T09:00+01:00"),
        ("2027-02-29", "2027-01-01T00:00+01:00", "feb-28", "2027-02-28T09:00+01:00"),  # there is none in 2027
        ("2027-02-29", "2027-01-01T00:00+01:00", "mar-1", "2027-03-01T09:00+01:00"),
        (" 0000-02-29 ", "2028-01-01T00:00+01:00", "mar-1", "2028-02-29T09:00+01:00"),
        ("2027-02-29T12:00", "2028-01-01T00:00+01:00", "mar-1", "2028-02-29T09:00+01:00"),
        ("--01-01", "2026-12-31T23:30+00:00", "feb-28", "2027-01-01T09:00+01:00"),  # the new year has come in Berlin
    ],
)
def test_a_yearly_date_comes_round_in_the_contacts_own_zone(
    value: str, now: str, leap_day: Literal["feb-28", "mar-1"], expected: str
) -> None:
    found = next_yearly(value, Shift(), "Europe/Berlin", time(9), datetime.fromisoformat(now), leap_day)
    assert found == datetime.fromisoformat(expected)


@given(
    st.dates(date(1900, 1, 1), date(2090, 12, 31)),
    zones,
    instants,
    st.integers(-3660, 3660),
    st.timedeltas(timedelta(hours=-400), timedelta(hours=400)),
    st.none() | st.times(),
    st.sampled_from(["feb-28", "mar-1"]),
)
def test_the_next_occurrence_is_the_first_of_all_years(
    birthday: date,
    zone: str,
    now: datetime,
    days: int,
    span: timedelta,
    at: time | None,
    leap_day: Literal["feb-28", "mar-1"],
) -> None:
    offset = Shift(days, timedelta(0) if at else span)
    found = next_yearly(birthday.isoformat(), offset, zone, at, now, leap_day)
    assert found is not None
    assert now + timedelta(seconds=1) < found < now + timedelta(days=369)
    every = []
    for year in range(now.year - 13, now.year + 14):
        try:
            day = birthday.replace(year=year)
        except ValueError:
            day = date(year, 2, 28) if leap_day == "feb-28" else date(year, 3, 1)
        every.append(date_moment(day, offset, zone, at))
    assert found == min(moment for moment in every if moment and moment > now + timedelta(seconds=1))
    # After this wait, a run waits for the next one a year later, however its clock was rounded.
    again = next_yearly(birthday.isoformat(), offset, zone, at, found - timedelta(milliseconds=50), leap_day)
    assert again is not None
    assert again > found + timedelta(days=360)


@pytest.mark.parametrize(
    "value", ["0001-01-01", "9999-12-31", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"]
)
@pytest.mark.parametrize("days", [-400, 0, 400])
def test_the_ends_of_the_calendar_are_survived(value: str, days: int) -> None:
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        date_moment(value, Shift(days), zone, None)
    next_yearly(value, Shift(days), zone, None, datetime(2026, 1, 1, tzinfo=UTC), "feb-28")


@given(st.text() | st.integers() | st.floats() | st.none(), zones, st.integers(-1000, 1000))
def test_no_value_raises(value: object, zone: str, days: int) -> None:
    date_moment(value, Shift(days), zone, None)
    next_yearly(value, Shift(days), zone, None, datetime(2026, 1, 1, tzinfo=UTC), "feb-28")
