"""The moments of a date among a contact's attributes, kept by the mechanism that keeps segments.

Such a definition is an unnamed segment: a contact is a member for the one moment that the date gives, and for nothing
after it. Entering is therefore that moment, found by time alone. A moment of the past is never met, whatever attribute
is written later: it lies before the moment from which the contact is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from audience.facts import Facts
from audience.segments.decision import Decider
from audience.segments.document import Segment
from audience.segments.members import AnyOf
from tracks.model.date_entries import DateMoments
from tracks.time.local_time import date_moment, next_yearly, zone_of

_MOMENT = timedelta(microseconds=1)
"""The smallest time that the database tells apart."""
_LEFT_OUT = timedelta(seconds=1)
"""`next_yearly` leaves out occurrences that are no later than this after the moment that it is asked for."""


NOTHING = AnyOf(())
"""A tree that reads no events and has no members."""


@dataclass(frozen=True)
class DateSegment(Segment):
    """The unnamed segment of a date."""

    moments: DateMoments | None = None

    @classmethod
    def of(cls, moments: DateMoments) -> DateSegment:
        """The segment. Its tree is empty, because it reads no events."""
        return cls(moments.name, NOTHING, moments.name, moments=moments)

    @cached_property
    def decider(self) -> MomentDecider:
        """What decides about contacts."""
        assert self.moments is not None
        return MomentDecider(self.moments)


class MomentDecider(Decider):
    """Decides when a date's moment has come."""

    def __init__(self, moments: DateMoments) -> None:
        super().__init__(NOTHING)
        self._moments = moments

    def judged(self, facts: Facts | None, now: datetime) -> tuple[bool, datetime | None]:
        """Whether `now` is the moment, and the next change. Every contact can be judged: who has no date is none."""
        moment = self.following(facts.contact, now) if facts is not None else None
        if moment is None or moment < now:
            return False, None
        return (True, now + _MOMENT) if moment == now else (False, moment)

    def following(self, contact: Mapping[str, Any], now: datetime) -> datetime | None:
        """The moment of this contact's date; of a yearly one, the first that is not before `now`."""
        date = self._moments
        value = (contact.get("attributes") or {}).get(date.attribute)
        zone = zone_of(contact.get("timezone"), date.timezone).key
        if not date.yearly:
            return date_moment(value, date.offset, zone, date.time, date_only=date.date_only)
        from_ = now - _LEFT_OUT - _MOMENT
        leap_day = date.feb_29 or "mar-1"
        return next_yearly(value, date.offset, zone, date.time, from_, leap_day, date_only=date.date_only)

    def told(self, facts: Facts | None, moment: datetime) -> tuple[str, str]:
        """The attribute, and what tells this occurrence from the date's others: its local day.

        A contact who moves to another zone does not meet the same day twice.
        """
        zone = zone_of(facts.contact.get("timezone") if facts else None, self._moments.timezone)
        return self._moments.attribute, moment.astimezone(zone).date().isoformat()
