"""Dates of a contact: by the days of their own calendar, and every year where asked."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audience.facts import Facts
from audience.segments.document import segment_from_data
from audience.segments.evaluation import Answer, evaluate

DAY, MICROSECOND = timedelta(days=1), timedelta(microseconds=1)


def ask(members: Any, now: datetime, zone: str | None = None, **attributes: Any) -> Answer:
    tree = segment_from_data({"segment": "s", "members": members}).members
    return evaluate(tree, Facts({"id": "ann", "timezone": zone, "attributes": attributes}), now)


TODAY = datetime(2026, 3, 28, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "from_day", "to_day"),
    [
        # Days from today until the date at which the leaf is true, the first and the last.
        ({"within": "next 30d"}, 0, 30),
        ({"within": "next 0d"}, 0, 0),
        ({"within": "last 30d"}, -30, 0),
        ({"within": "last 1w"}, -7, 0),
        ({"before": "today"}, None, -1),
        ({"after": "today"}, 1, None),
        ({"before": "30d ago"}, None, -31),
        ({"after": "in 30d"}, 31, None),
        ({"after": "30d ago", "before": "in 2d"}, -29, 1),
        ({"after": "2026-03-28", "before": "2026-04-02"}, 1, 4),
    ],
)
def test_a_span_has_both_of_its_ends_and_before_and_after_mean_other_days(
    written: dict[str, str], from_day: int | None, to_day: int | None
) -> None:
    for ahead in range(-60, 60):
        due = (TODAY + ahead * DAY).date().isoformat()
        expected = (from_day is None or from_day <= ahead) and (to_day is None or ahead <= to_day)
        assert ask({"date": "due", **written}, TODAY, due=due).member == expected, ahead


@pytest.mark.parametrize(
    ("zone", "begins"),
    [
        (None, "2026-03-29T00:00Z"),
        ("No/Such", "2026-03-29T00:00Z"),
        ("Asia/Kathmandu", "2026-03-28T18:15Z"),
        ("Europe/Berlin", "2026-03-28T23:00Z"),
        ("Asia/Beirut", "2026-03-28T22:00Z"),  # clocks go from 00:00 to 01:00
        ("America/Los_Angeles", "2026-03-29T07:00Z"),
    ],
)
def test_a_day_begins_at_the_contacts_own_midnight(zone: str | None, begins: str) -> None:
    members = {"date": "due", "within": "next 0d"}
    first = datetime.fromisoformat(begins)
    assert ask(members, TODAY, zone, due="2026-03-29").changes_at == first
    assert not ask(members, first - MICROSECOND, zone, due="2026-03-29").member
    during = ask(members, first, zone, due="2026-03-29")
    assert during.member and during.changes_at is not None
    assert during.changes_at.astimezone(ZoneInfo(zone if zone and "Such" not in zone else "UTC")).hour == 0


def test_a_time_with_an_offset_is_a_day_of_the_contacts_calendar_unless_the_date_alone_counts() -> None:
    members = {"date": "due", "within": "next 0d"}
    midnight = "2026-03-28T00:00:00Z"
    assert ask(members, TODAY, "America/New_York", due=midnight).changes_at is None  # it was the 27th there
    assert ask({**members, "date_only": True}, TODAY, "America/New_York", due=midnight).member


def test_it_is_told_what_day_was_read_or_why_none_was() -> None:
    members = {"any": [{"date": name, "before": "today"} for name in ("due", "text", "nothing")]}
    due, text, nothing = ask(members, TODAY, due="2026-03-27", text="soon").leaves
    assert (due.holds, due.value, due.why) == (True, date(2026, 3, 27), "")
    assert (text.holds, text.value, text.why) == (False, None, "not a date")
    assert (nothing.holds, nothing.why, nothing.count) == (False, "missing", None)


@pytest.mark.parametrize(("leap_day", "day"), [("28 feb", date(2027, 2, 28)), ("1 mar", date(2027, 3, 1))])
def test_29_february_comes_in_other_years_on_the_day_that_is_written(leap_day: str, day: date) -> None:
    members = {"date": "born", "yearly": True, "leap_day": leap_day, "within": "next 0d"}
    answer = ask(members, TODAY, born="1996-02-29")
    assert answer.changes_at == datetime(day.year, day.month, day.day, tzinfo=UTC)
    assert ask(members, datetime(2028, 2, 29, 12, tzinfo=UTC), born="--02-29").member


born = st.sampled_from(["02-28", "02-29", "03-01", "12-31", "01-01", "06-15"])
yearly = st.fixed_dictionaries(
    {
        "date": born,
        "yearly": st.just(True),
        "leap_day": st.sampled_from(["28 feb", "1 mar"]),
        "within": st.sampled_from(["next 0d", "last 1d", "next 40d", "next 363d", "last 364d"]),
    }
)
trees = st.builds(
    lambda group, parts, turned: {
        group: [{"not": part} if turn else part for part, turn in zip(parts, turned, strict=True)]
    },
    st.sampled_from(["all", "any"]),
    st.lists(yearly, min_size=3, max_size=3),
    st.lists(st.booleans(), min_size=3, max_size=3),
)


def slowly(members: Any, today: date) -> bool:
    """The rule again: is one of the days around today the day of the year that is meant?"""
    if "not" in members:
        return not slowly(members["not"], today)
    if "all" in members or "any" in members:
        return (all if "all" in members else any)(slowly(part, today) for part in members.get("all") or members["any"])
    direction, number = members["within"].removesuffix("d").split()
    steps = range(int(number) + 1) if direction == "next" else range(-int(number), 1)
    return any(comes(members, today.toordinal() + step) for step in steps)


def comes(leaf: dict[str, Any], day: int) -> bool:
    on = date.fromordinal(day)
    if leaf["date"] != "02-29" or (date(on.year, 3, 1) - DAY).day == 29:
        return on.isoformat()[5:] == str(leaf["date"])
    return on.isoformat()[5:] == ("02-28" if leaf["leap_day"] == "28 feb" else "03-01")


TWO_WAYS = [{"date": "02-29", "yearly": True, "leap_day": day, "within": "next 0d"} for day in ("28 feb", "1 mar")]


@settings(max_examples=30)
@given(trees, st.dates(date(2020, 1, 1), date(2104, 1, 1)))
# Both are true on 29 February alone. After 2096 that comes in 2104.
@example({"all": TWO_WAYS}, date(2096, 3, 1))
def test_of_yearly_dates_the_next_change_is_known_however_far_it_is(members: Any, today: date) -> None:
    attributes = {part: f"2000-{part}" for part in ("02-28", "02-29", "03-01", "12-31", "01-01", "06-15")}
    answer = ask(members, datetime(today.year, today.month, today.day, 9, tzinfo=UTC), **attributes)
    assert answer.member == slowly(members, today)
    if answer.changes_at is not None:
        changed = answer.changes_at.date()
        assert answer.changes_at.timetz() == datetime.min.replace(tzinfo=UTC).timetz()
        assert slowly(members, changed) != answer.member
    until = changed if answer.changes_at is not None else today.replace(year=today.year + 9, day=1)
    near = {
        until - DAY,
        *(date(year, *day) for year in range(2020, 2115) for day in ((1, 1), (2, 28), (3, 1), (12, 31))),
    }
    near |= {date(year, 3, 1) - DAY for year in range(2020, 2115)} | {date(year, 6, 15) for year in range(2020, 2115)}
    for day in near:
        assert not today <= day < until or slowly(members, day) == answer.member, day
