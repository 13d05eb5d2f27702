"""When the moment of a contact's date comes: exactly, once, and never for a moment that has passed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audience.facts import Facts
from audience.segments.date_moments import DateSegment, MomentDecider
from tracks.model.date_entries import DateMoments

BIRTHDAY = {"attribute": "birthday", "yearly": True, "feb_29": "feb-28", "time": "09:00", "timezone": "UTC"}
ENDS = {"attribute": "ends_on", "offset": "-2d", "time": "09:00", "timezone": "Europe/Berlin"}
YEAR = timedelta(days=366)
FIRST = datetime(2024, 1, 1, tzinfo=UTC)


def decider(definition: dict[str, Any]) -> MomentDecider:
    return DateSegment.of(DateMoments.model_validate(definition)).decider


def facts(zone: str | None = None, **attributes: Any) -> Facts:
    return Facts({"timezone": zone, "attributes": attributes})


def moments(definition: dict[str, Any], contact: Facts, since: datetime, until: datetime) -> list[datetime]:
    """The moments at which the contact enters, as the upkeep meets them: by each next change."""
    found, now = [], since
    while (answer := decider(definition).judged(contact, now)) is not None:
        member, changes_at = answer
        found += [now] if member else []
        if changes_at is None or changes_at > until:
            break
        assert changes_at > now
        now = changes_at
    return found


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Europe/Berlin", ["2026-03-28T08:00", "2027-03-28T07:00"]),  # in 2027 clocks go forward on that day
        ("America/New_York", ["2026-03-28T13:00", "2027-03-28T13:00"]),
        (None, ["2026-03-28T09:00", "2027-03-28T09:00"]),
    ],
)
def test_a_yearly_date_comes_at_the_local_hour_of_the_contact(zone: str | None, expected: list[str]) -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    found = moments(BIRTHDAY, facts(zone, birthday="1990-03-28"), since, since + 2 * YEAR)
    assert [f"{one:%Y-%m-%dT%H:%M}" for one in found] == expected


@pytest.mark.parametrize(("feb_29", "day"), [("feb-28", "02-28"), ("mar-1", "03-01")])
@pytest.mark.parametrize("written", ["2000-02-29", "--02-29", "2001-02-29"])
def test_29_february_comes_each_year_on_the_day_that_is_written(feb_29: str, day: str, written: str) -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    found = moments({**BIRTHDAY, "feb_29": feb_29}, facts(birthday=written), since, since + 3 * YEAR)
    assert [f"{one:%Y-%m-%d}" for one in found] == [f"2026-{day}", f"2027-{day}", "2028-02-29"]


def test_an_offset_before_29_february_counts_from_the_day_of_that_year() -> None:
    since = datetime(2027, 1, 1, tzinfo=UTC)
    found = moments({**BIRTHDAY, "offset": "-3d"}, facts(birthday="2000-02-29"), since, since + 2 * YEAR)
    assert [f"{one:%Y-%m-%d}" for one in found] == ["2027-02-25", "2028-02-26"]


@pytest.mark.parametrize(
    ("zone", "time", "expected"),
    [
        ("Europe/Berlin", "02:30", "2027-03-28T01:00"),  # skipped: the first moment after it
        ("Europe/Berlin", "03:00", "2027-03-28T01:00"),
        ("America/New_York", "01:30", "2027-03-28T05:30"),
    ],
)
def test_an_hour_that_clocks_skip_is_the_first_moment_after_it(zone: str, time: str, expected: str) -> None:
    since = datetime(2027, 3, 1, tzinfo=UTC)
    found = moments({**BIRTHDAY, "time": time}, facts(zone, birthday="1990-03-28"), since, since + timedelta(days=60))
    assert [f"{one:%Y-%m-%dT%H:%M}" for one in found] == [expected]


def test_an_hour_that_comes_twice_is_met_once() -> None:
    since = datetime(2026, 10, 20, tzinfo=UTC)
    contact = facts("Europe/Berlin", birthday="1990-10-25")  # clocks go back from 03:00 to 02:00
    found = moments({**BIRTHDAY, "time": "02:30"}, contact, since, since + timedelta(days=60))
    assert [f"{one:%Y-%m-%dT%H:%M}" for one in found] == ["2026-10-25T00:30"]


@pytest.mark.parametrize("value", [None, "", "soon", "2026-13-01", 20260301, True, ["2026-03-01"], "0001-01-01"])
def test_what_is_no_date_and_what_has_passed_never_comes(value: Any) -> None:
    contact = facts(**({} if value is None else {"ends_on": value}))
    assert decider(ENDS).judged(contact, datetime(2026, 1, 1, tzinfo=UTC)) == (False, None)


def test_a_contact_without_a_zone_has_that_of_the_track() -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    found = moments(ENDS, facts(ends_on="2026-07-10"), since, since + YEAR)
    assert found == [datetime(2026, 7, 8, 7, tzinfo=UTC)]


@given(
    birthday=st.dates(date(1920, 1, 1), date(2030, 12, 31)),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Pacific/Apia", "Asia/Kolkata", "America/Sao_Paulo"]),
    offset=st.integers(-40, 40),
    since=st.integers(0, 6 * 366 * 86_400).map(lambda seconds: FIRST + timedelta(seconds=seconds)),
)
def test_every_year_has_one_moment_whenever_one_begins_to_look(
    birthday: date, zone: str, offset: int, since: datetime
) -> None:
    definition = {**BIRTHDAY, "offset": f"{offset}d"}
    found = moments(definition, facts(zone, birthday=birthday.isoformat()), since, since + timedelta(days=4 * 366))
    assert len(found) in (4, 5)
    assert all(350 < (later - earlier).days < 380 for earlier, later in pairwise(found))
    assert all(moment >= since for moment in found)


def test_the_same_date_has_one_name_however_it_is_written_and_another_zone_another() -> None:
    names = [
        DateMoments.model_validate(definition).name
        for definition in (
            ENDS,
            {**ENDS, "yearly": False},
            {**ENDS, "time": "9:00"},
            {**ENDS, "timezone": "UTC"},
            {**ENDS, "offset": "2d"},
        )
    ]
    assert names[0] == names[1] == names[2]
    assert len(set(names)) == 3 and all(name.startswith("date:ends_on:") for name in names)
