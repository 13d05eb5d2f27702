"""When the steps that wait for a moment end, from the data of the contact and the enrolment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple

from activities.contract import ResolvedWait
from store.schema.rows import Contact
from tracks.conditions.conditions import ConditionError, value_of
from tracks.model.steps.simple_steps import Base
from tracks.model.steps.steps import Date, Length, Moment, WaitDateStep, WaitStep, WaitUntilStep
from tracks.model.track import Track
from tracks.shared.numbers import number_of
from tracks.time.local_time import date_moment, is_zone, local_instant, next_local, next_yearly, zone_of

MISSING = ResolvedWait(outcome="missing")
PAST = ResolvedWait(outcome="past")


class Waiting(NamedTuple):
    """Who waits, and in which track."""

    contact: Contact
    enrollment: Mapping[str, Any]
    """As conditions see it."""
    origin: datetime
    """The moment of the enrolment."""
    track: Track


def moment_of(step: Base, who: Waiting, now: datetime) -> ResolvedWait:
    """When a step's wait ends, on the run's clock. TypeError for a step that waits for no moment.

    `now` is on the run's clock too.
    """
    own = who.contact.timezone
    zone = own if own is not None and is_zone(own) else who.track.defaults.timezone
    match step:
        case WaitStep(wait=Length() as length):
            return _after(length, who, now)
        case WaitUntilStep(wait_until=until):
            return _local(until, who.origin, zone, now)
        case WaitDateStep(wait_date=date):
            return _dated(date, who, zone, now)
    raise TypeError(f"step {step.id} does not wait for a moment")


def _after(length: Length, who: Waiting, now: datetime) -> ResolvedWait:
    """A computed length, counted from now. What is no number, or not above 0, is `missing`."""
    expression, _ = length.written
    context = {"contact": who.contact.view(), "enrollment": who.enrollment, "now": now}
    try:
        span = length.bounded(float(number_of(value_of(expression, context))))
    except (ConditionError, ValueError):
        return MISSING
    return MISSING if span is None else ResolvedWait(outcome="at", at=now + span)


def _local(until: Moment, origin: datetime, zone: str, now: datetime) -> ResolvedWait:
    """A local time or weekday from now on, or on a day of the run."""
    if until.day is None:
        return ResolvedWait(outcome="at", at=next_local(now, zone, until.time, until.weekdays))
    place = zone_of(zone)
    try:
        day = origin.astimezone(place).date() + timedelta(days=until.day)
        begins = local_instant(datetime.combine(day, time()), place)
    except OverflowError:
        return PAST
    moment = next_local(begins, zone, until.time, until.weekdays)
    return PAST if moment < now else ResolvedWait(outcome="at", at=moment)


def _dated(date: Date, who: Waiting, zone: str, now: datetime) -> ResolvedWait:
    """A date among the contact's attributes or the enrolment's properties, moved as the step says."""
    value: Any
    if date.property is not None:
        value = who.enrollment["properties"].get(date.property)
    else:
        value = (who.contact.attributes or {}).get(date.attribute or "")
    if date.every == "year" and date.feb_29 is not None:
        moment = next_yearly(value, date.offset, zone, date.time, now, date.feb_29, date_only=date.date_only)
    else:
        moment = date_moment(value, date.offset, zone, date.time, date_only=date.date_only)
    if moment is None:
        return MISSING
    return PAST if moment < now else ResolvedWait(outcome="at", at=moment)
