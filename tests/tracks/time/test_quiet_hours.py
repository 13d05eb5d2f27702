from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tracks.time.zones import instants, zones
from tracks.time.local_time import WEEKDAYS
from tracks.time.quiet_hours import NeverOpenError, quiet_until, sendable_at, spans, window_opens

QUARTER = timedelta(minutes=15)
times = st.integers(0, 95).map(lambda quarter: time(quarter // 4, quarter % 4 * 15))
weekdays = st.none() | st.sets(st.sampled_from(WEEKDAYS), min_size=1)


def inside(now: datetime, zone: str, start: time, end: time, days: set[str] | None = None) -> bool:
    """The rule, computed directly: some span that began in the last days contains `now`."""
    place = ZoneInfo(zone)
    for back in range(-3, 3):
        day = now.astimezone(place).date() + timedelta(days=back)
        begins, ends = spans(day, start, end, place)
        if (days is None or WEEKDAYS[day.weekday()] in days) and begins <= now < ends:
            return True
    return False


@given(instants, zones, times, times)
def test_quiet_hours_end_at_the_first_moment_outside_of_them(now: datetime, zone: str, start: time, end: time) -> None:
    if start == end:
        return
    ends = quiet_until(now, zone, start, end)
    assert (ends is not None) == inside(now, zone, start, end)
    if ends is not None:
        assert timedelta(0) < ends - now <= timedelta(hours=25)
        assert inside(ends - timedelta(seconds=1), zone, start, end)


@given(instants, zones, times, times, weekdays)
def test_a_window_opens_at_the_first_moment_inside_of_it(
    now: datetime, zone: str, start: time, end: time, days: set[str] | None
) -> None:
    if start == end:
        return
    opens = window_opens(now, zone, start, end, days)
    assert opens >= now
    assert inside(opens, zone, start, end, days)
    walk = now
    while walk < min(opens, now + timedelta(days=2)):
        assert not inside(walk, zone, start, end, days)
        walk += QUARTER


@given(instants, zones, times, times, times, times, weekdays)
def test_what_may_go_is_outside_the_quiet_hours_and_inside_the_window(
    now: datetime, zone: str, quiet_from: time, quiet_to: time, opens: time, closes: time, days: set[str] | None
) -> None:
    if quiet_from == quiet_to or opens == closes:
        return
    try:
        moment = sendable_at(now, zone, (quiet_from, quiet_to), (opens, closes, days))
    except NeverOpenError:
        return
    assert moment >= now
    assert not inside(moment, zone, quiet_from, quiet_to)
    assert inside(moment, zone, opens, closes, days)


def test_a_window_within_the_quiet_hours_never_opens() -> None:
    with pytest.raises(NeverOpenError):
        sendable_at(datetime(2026, 3, 2, 12, tzinfo=UTC), "UTC", (time(20), time(8)), (time(22), time(6), None))


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        ("2026-03-28T23:00+00:00", "2026-03-29T06:00+00:00"),  # the night loses an hour
        ("2026-10-24T22:00+00:00", "2026-10-25T07:00+00:00"),  # and gains one
        ("2026-07-01T21:00+00:00", "2026-07-02T06:00+00:00"),
    ],
)
def test_a_night_in_berlin_ends_at_eight_whatever_the_clocks_do(now: str, ends: str) -> None:
    found = quiet_until(datetime.fromisoformat(now), "Europe/Berlin", time(22), time(8))
    assert found == datetime.fromisoformat(ends)


def test_quiet_hours_that_end_within_a_repeated_hour_end_once() -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30 in Berlin for the first time
    assert quiet_until(first - QUARTER, "Europe/Berlin", time(22), time(2, 30)) == first
    assert quiet_until(first + timedelta(minutes=45), "Europe/Berlin", time(22), time(2, 30)) is None
