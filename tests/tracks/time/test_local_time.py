"""The next local time in every IANA zone, also where its clocks change."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from importlib.resources import files
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tracks.time.test_contact_dates import loads
from tests.tracks.time.zones import ZONES, instants, wall, zones
from tracks.time.local_time import NO_ZONES, WEEKDAYS, is_zone, local_instant, next_local, zone_of

QUARTER = timedelta(minutes=15)


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
