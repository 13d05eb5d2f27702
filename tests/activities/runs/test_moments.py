"""When a wait ends: a computed length, a day of the run, a date of the enrolment. None of them ever means now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.contract import RESOLVE_WAIT, ResolvedWait, ResolveWaitCall
from activities.runs.moments import MISSING, PAST, Waiting, moment_of
from store.schema.rows import Contact
from tests.activities.activity_runner import ActivityRunner
from tracks.checks.track_document import parse_track
from tracks.model.track import find_step

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WAITS = """
track: moments
steps:
  - id: bounded
    wait: {days: enrollment.properties.usage_days - 5, least: 1d, most: 120d, missing: skip}
  - id: unbounded
    wait: {hours: enrollment.properties.hours, missing: skip}
  - id: departure
    wait_date: {property: departs_on, offset: -2d, time: '09:00', missing: skip, past: skip}
  - id: day-ten
    wait_until: {day: 10, time: '09:00', past: skip}
  - id: working-day
    wait_until: {day: 10, time: '09:00', weekdays: [mon], past: skip}
  - id: begin-of-day
    wait_until: {day: 1, past: skip}
"""
TRACK = parse_track(WAITS, "moments.yaml")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)


def moment(step: str, *, now: datetime = NOW, origin: datetime = NOW, zone: str = "UTC", **properties: Any) -> Any:
    who = Waiting(Contact("c-1", timezone=zone), {"properties": properties}, origin, TRACK)
    return moment_of(find_step(TRACK, step), who, now)


def after(**span: float) -> ResolvedWait:
    return ResolvedWait(outcome="at", at=NOW + timedelta(**span))


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (30, after(days=25)),
        (5, MISSING),
        (3, MISSING),
        (9_000, after(days=120)),
        (10**18, after(days=120)),
        ("30", MISSING),
        (30.5, MISSING),
        (None, MISSING),
        ([30], MISSING),
        (True, MISSING),
    ],
)
def test_a_length_is_computed_within_its_bounds(days: object, expected: ResolvedWait) -> None:
    assert moment("bounded", usage_days=days) == expected


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (36, after(hours=36)),
        (0.5, after(minutes=30)),
        ("12", after(hours=12)),
        (1e-9, after(seconds=1)),
        (1e300, after(days=3660)),
        (0, MISSING),
        (-1, MISSING),
        (float("nan"), MISSING),
        ("soon", MISSING),
    ],
)
def test_a_length_without_bounds_is_a_second_or_more(hours: object, expected: ResolvedWait) -> None:
    assert moment("unbounded", hours=hours) == expected


@given(JSON)
def test_no_value_whatever_means_now(value: Any) -> None:
    for step, name in (("bounded", "usage_days"), ("unbounded", "hours"), ("departure", "departs_on")):
        found = moment(step, **{name: value})
        assert found in (MISSING, PAST) or found.at > NOW


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=1e-6, max_value=1e6))
def test_a_longer_length_never_ends_earlier(hours: float) -> None:
    assert moment("unbounded", hours=hours).at <= moment("unbounded", hours=hours * 2).at


@pytest.mark.parametrize(
    ("departs_on", "expected"),
    [
        ("2026-04-06", ResolvedWait(outcome="at", at=datetime(2026, 4, 4, 7, 0, tzinfo=UTC))),
        ("2026-03-03", PAST),
        ("soon", MISSING),
        (None, MISSING),
    ],
)
def test_a_date_of_the_enrolment_counts_in_the_contacts_zone(departs_on: object, expected: ResolvedWait) -> None:
    assert moment("departure", zone="Europe/Berlin", departs_on=departs_on) == expected


def test_a_day_of_the_run_counts_from_the_local_day_of_the_enrolment() -> None:
    late = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)  # in Berlin it is 3 March already
    assert moment("day-ten", origin=late, zone="Europe/Berlin").at == datetime(2026, 3, 13, 8, 0, tzinfo=UTC)
    assert moment("day-ten", origin=late).at == datetime(2026, 3, 12, 9, 0, tzinfo=UTC)


def test_a_day_of_the_run_keeps_its_hour_where_clocks_change() -> None:
    origin = datetime(2026, 3, 22, 12, 0, tzinfo=UTC)  # clocks in Berlin go forward on the 29th
    at = moment("day-ten", origin=origin, zone="Europe/Berlin").at
    assert at.astimezone(ZoneInfo("Europe/Berlin")).isoformat() == "2026-04-01T09:00:00+02:00"


def test_without_a_time_a_day_of_the_run_begins_at_its_first_moment() -> None:
    origin = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)  # in Cairo, clocks go forward at midnight of 24 April
    assert moment("begin-of-day", origin=origin, zone="Europe/Berlin").at == datetime(2026, 3, 28, 23, 0, tzinfo=UTC)
    gap = datetime(2026, 4, 23, 9, 0, tzinfo=UTC)
    assert moment("begin-of-day", origin=gap, zone="Africa/Cairo").at == datetime(2026, 4, 23, 22, 0, tzinfo=UTC)


def test_with_weekdays_it_is_the_first_of_them_on_that_day_or_later() -> None:
    assert moment("working-day").at == datetime(2026, 3, 16, 9, 0, tzinfo=UTC)


def test_a_day_of_the_run_that_has_passed_is_past_and_not_now() -> None:
    end = datetime(2026, 3, 12, 9, 0, tzinfo=UTC)
    assert moment("day-ten", now=end).at == end
    assert moment("day-ten", now=end + timedelta(seconds=1)) == PAST


async def test_the_activity_reads_the_enrolment(runner: ActivityRunner) -> None:
    await runner.enroll(WAITS, properties={"usage_days": 12})
    call = ResolveWaitCall(enrollment_id=runner.enrollment.id, step="bounded", now=NOW)
    assert await runner.local(RESOLVE_WAIT, call) == after(days=7)
