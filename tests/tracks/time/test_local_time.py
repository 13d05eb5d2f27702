from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Literal
from zoneinfo import TZPATH, ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.time.durations import Shift
from tracks.time.local_time import (
    NO_ZONES,
    WEEKDAYS,
    date_moment,
    is_zone,
    local_instant,
    next_local,
    next_yearly,
    zone_of,
)

ZONES = sorted(name for name in available_timezones() if is_zone(name))
QUARTER = timedelta(minutes=15)
zones = st.sampled_from(ZONES)
instants = st.integers(1_104_537_600, 2_051_222_400).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC)
)  # 2005-2034


def wall(moment: datetime, zone: ZoneInfo) -> datetime:
    """The local time in the zone, without the zone itself."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def changes(zone: ZoneInfo, first: int, last: int) -> Iterator[datetime]:
    """Instants at which the zone's offset changes, found by looking at every quarter of the days that differ."""
    day = datetime(first, 1, 1, tzinfo=UTC)
    while day.year < last:
        after = day + timedelta(days=1)
        if day.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
            moment = day
            while moment.astimezone(zone).utcoffset() == day.astimezone(zone).utcoffset():
                moment += QUARTER
            yield moment
        day = after


def first_reached(target: datetime, zone: ZoneInfo, start: datetime) -> datetime:
    """The rule, computed directly: walk forward until the clocks show the time, or have jumped past it."""
    while wall(start, zone) < target:
        start += QUARTER
    return start


def check_around_changes(name: str, first: int, last: int) -> int:
    zone = ZoneInfo(name)
    count = 0
    for change in changes(zone, first, last):
        count += 1
        start = change - timedelta(hours=6)
        for quarters in range(-14, 15):
            target = wall(change, zone) + quarters * QUARTER
            assert local_instant(target, zone) == first_reached(target, zone, start), (name, target)
    return count


def test_every_zone_is_right_around_every_change_of_its_clocks() -> None:
    assert sum(check_around_changes(name, 2026, 2027) for name in ZONES) > 200


@pytest.mark.parametrize(
    "name", ["America/New_York", "Europe/Dublin", "Australia/Lord_Howe", "Antarctica/Troll", "Africa/Casablanca"]
)
def test_awkward_zones_are_right_for_years(name: str) -> None:
    assert check_around_changes(name, 2015, 2030) >= 25


@pytest.mark.parametrize("name", ["Pacific/Apia", "Pacific/Kwajalein", "Pacific/Kiritimati", "America/Caracas"])
def test_zones_that_moved_by_a_day_or_half_an_hour_are_right(name: str) -> None:
    for first in (1993, 1994, 2007, 2011, 2016):
        check_around_changes(name, first, first + 1)


@given(zones, instants, st.integers(0, 95), st.sets(st.sampled_from(WEEKDAYS), min_size=1))
def test_the_next_local_time_is_on_a_right_day_and_none_comes_earlier(
    name: str, now: datetime, quarters: int, days: set[str]
) -> None:
    zone, at = ZoneInfo(name), time(quarters // 4, quarters % 4 * 15)
    found = next_local(now, name, at, days)

    local = found.astimezone(zone)
    assert found >= now
    assert WEEKDAYS[local.weekday()] in days
    assert local.time() == at or wall(found, zone) - wall(found - timedelta(seconds=1), zone) > timedelta(seconds=1)
    moment = now + (-now.timestamp() % 900) * timedelta(seconds=1)
    while moment < found:
        seen = moment.astimezone(zone)
        assert seen.fold or seen.time() != at or WEEKDAYS[seen.weekday()] not in days
        moment += QUARTER


@given(zones, instants, st.sets(st.sampled_from(WEEKDAYS), min_size=1))
def test_a_weekday_alone_is_now_or_the_start_of_the_next_such_day(name: str, now: datetime, days: set[str]) -> None:
    zone = ZoneInfo(name)
    found = next_local(now, name, None, days)

    assert WEEKDAYS[found.astimezone(zone).weekday()] in days
    if WEEKDAYS[now.astimezone(zone).weekday()] in days:
        assert found == now
    else:
        assert found > now
        assert WEEKDAYS[(found - timedelta(seconds=1)).astimezone(zone).weekday()] not in days


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-03-07T23:00-05:00", "2026-03-08T09:00-04:00"),  # clocks go forward that night
        ("2026-10-31T23:00-04:00", "2026-11-01T09:00-05:00"),  # and back that one
        ("2026-06-01T09:00-04:00", "2026-06-01T09:00-04:00"),
        ("2026-06-01T09:00:01-04:00", "2026-06-02T09:00-04:00"),
    ],
)
def test_nine_in_the_morning_in_new_york_is_nine_whatever_the_clocks_do(now: str, expected: str) -> None:
    found = next_local(datetime.fromisoformat(now), "America/New_York", time(9), None)
    assert found == datetime.fromisoformat(expected)


def test_a_time_in_the_gap_comes_true_right_after_it() -> None:
    found = next_local(datetime.fromisoformat("2026-03-08T00:00-05:00"), "America/New_York", time(2, 30), None)
    assert found == datetime.fromisoformat("2026-03-08T03:00-04:00")


def test_a_time_that_happens_twice_counts_once_and_the_first_time() -> None:
    found = next_local(datetime.fromisoformat("2026-11-01T00:00-04:00"), "America/New_York", time(1, 30), None)
    assert found == datetime.fromisoformat("2026-11-01T01:30-04:00")
    again = next_local(found + timedelta(minutes=1), "America/New_York", time(1, 30), None)
    assert again == datetime.fromisoformat("2026-11-02T01:30-05:00")


def test_a_date_that_samoa_never_had_is_passed_over() -> None:
    now = datetime(2011, 12, 30, 9, 30, tzinfo=UTC)  # Thursday evening; the clocks go on to Saturday
    assert next_local(now, "Pacific/Apia", time(9), {"fri"}) == datetime(2012, 1, 5, 19, tzinfo=UTC)
    assert next_local(now, "Pacific/Apia", time(9), None) == datetime(2011, 12, 30, 19, tzinfo=UTC)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", None, "../etc/passwd", "Europe", "Europe/Berlin\x00"])
def test_a_zone_that_does_not_exist_falls_back_and_disturbs_nobody(name: str | None) -> None:
    assert zone_of(name, "Europe/Paris").key == "Europe/Paris"
    assert next_local(datetime(2026, 1, 1, tzinfo=UTC), name, time(9), None) == datetime(2026, 1, 1, 9, tzinfo=UTC)
    assert not is_zone(name or "")


def test_a_zone_is_what_iana_names_and_nothing_else_that_lies_among_its_files() -> None:
    found = {
        str(file.relative_to(folder))
        for folder in map(Path, TZPATH)
        for file in folder.rglob("*")
        if file.is_file() and loads(str(file.relative_to(folder)))
    }
    known = set((files("tzdata") / "zones").read_text().split()) - {"Factory"}
    assert known > {"Europe/Berlin", "UTC", "US/Pacific", "Etc/GMT+5"}
    candidates = found | known | NO_ZONES | {"posix/UTC", "right/Europe/Berlin", "europe/berlin", "EST5EDT4"}
    assert {name for name in candidates if is_zone(name)} == known
    assert all(loads(name) for name in known)
    assert all(zone_of(name, "Asia/Tokyo").key == "Asia/Tokyo" for name in (*NO_ZONES, "posix/Factory"))


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
