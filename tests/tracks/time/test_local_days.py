"""Local days begin once and never go back, in every zone, also where clocks change at midnight."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given

from tests.tracks.time.zones import instants, wall, zones
from tracks.time.local_time import date_in_year, day_begins, local_date, local_day

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@given(zones, instants)
@example("America/St_Johns", datetime(2006, 10, 29, 2, 40, tzinfo=UTC))  # 00:01 became 23:01
@example("America/Havana", datetime(2026, 3, 8, 5, 10, tzinfo=UTC))  # 00:00 became 01:00
@example("Pacific/Apia", datetime(2011, 12, 30, 10, 10, tzinfo=UTC))  # 30 December was skipped
def test_the_local_day_is_the_latest_that_clocks_have_shown(name: str, now: datetime) -> None:
    zone = ZoneInfo(name)
    assert local_day(now, zone) == max(wall(now - minutes * MINUTE, zone).date() for minutes in range(180))


@given(zones, instants)
@example("America/St_Johns", datetime(2006, 10, 29, 12, tzinfo=UTC))
@example("Pacific/Apia", datetime(2011, 12, 31, 12, tzinfo=UTC))
def test_a_day_begins_with_its_first_instant(name: str, now: datetime) -> None:
    zone = ZoneInfo(name)
    day = local_day(now, zone)
    begins = day_begins(day, zone)
    assert begins is not None and begins <= now
    assert local_day(begins, zone) == day
    assert local_day(begins - SECOND, zone) < day


def test_the_ends_of_the_calendar_are_no_error() -> None:
    for zone in (ZoneInfo("UTC"), ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Pacific/Pago_Pago")):
        for day in (date.min, date.max):
            day_begins(day, zone)
        assert local_day(datetime(9999, 12, 31, 5, tzinfo=UTC), zone) >= date(9999, 12, 30)


@pytest.mark.parametrize(
    ("value", "yearly", "date_only", "expected"),
    [
        ("2026-04-01", False, False, "2026-04-01"),
        ("2026-04-01T22:30:00Z", False, False, "2026-04-02"),  # already the second in Berlin
        ("2026-04-01T22:30:00Z", False, True, "2026-04-01"),
        ("2027-02-29", False, False, None),
        ("2027-02-29", True, False, "2000-02-29"),
        ("--02-29", True, False, "2000-02-29"),
        ("--02-29", False, False, None),
        ("soon", True, False, None),
        (None, True, False, None),
    ],
)
def test_a_date_of_a_contact_is_a_day_of_their_calendar(
    value: object, yearly: bool, date_only: bool, expected: str | None
) -> None:
    found = local_date(value, ZoneInfo("Europe/Berlin"), yearly=yearly, date_only=date_only)
    assert found == (date.fromisoformat(expected) if expected else None)


def test_29_february_comes_in_every_year_on_the_day_that_was_told() -> None:
    born = date(2000, 2, 29)
    assert date_in_year(born, 2028, "feb-28") == date(2028, 2, 29)
    assert date_in_year(born, 2027, "feb-28") == date(2027, 2, 28)
    assert date_in_year(born, 2027, "mar-1") == date(2027, 3, 1)
