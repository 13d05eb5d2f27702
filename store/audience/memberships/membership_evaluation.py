"""Evaluate versions of segments for contacts, and collect what has to be written, told and sent on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from audience.facts import Facts
from audience.segments.date_moments import DateSegment
from audience.segments.document import Segment
from audience.segments.inner_segments import depths_of
from audience.segments.probes import Probe, probes
from store.audience.facts import AGAIN, CATCH_UP, enough
from store.audience.memberships.inner_segments import InnerSegments
from store.audience.memberships.membership_rows import Membership, Pin
from store.audience.webhooks.outgoing import Outgoing


class Reached(NamedTuple):
    """The moment of a date has come; `occurrence` tells it from the date's other moments."""

    attribute: str
    occurrence: str


@dataclass(frozen=True, slots=True)
class Change:
    """A contact entered a segment or left it, at that moment; to be told as an event. `seq` counts from 1."""

    contact_id: str
    segment: str
    version: int
    entered: bool
    at: datetime
    seq: int
    reached: Reached | None = None
    """Of the unnamed segment of a date: what is told in place of entering."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A version whose members are kept.

    `live`: it counts. `tells_existing`: those who are members when it goes live are told. `events` are its triggers.
    `filling`: not all contacts have been evaluated; the unnamed segment of a date is live all the same. `sent_on`: the
    segment has webhooks.
    """

    live: bool
    tells_existing: bool
    events: frozenset[str]
    filling: bool
    sent_on: bool


class Evaluation:
    """Evaluates, and collects what has to be written and told."""

    def __init__(
        self, kept: Mapping[Pin, Kept], defined: Mapping[Pin, Segment], now: datetime, *, silent: bool = False
    ) -> None:
        self.kept, self.defined, self.now, self.silent = kept, defined, now, silent
        self.earliest = now
        """The earliest moment that is evaluated: windows are read from there."""
        self.changes: list[Change] = []
        self.written: list[Membership] = []
        self.outgoing: list[Outgoing] = []
        self.not_judged: list[str] = []
        self._orders: dict[frozenset[Pin], Sequence[Pin]] = {}
        self._probes: dict[tuple[frozenset[Pin], bool], list[Probe]] = {}

    def probes(self, pins: frozenset[Pin], known: Mapping[Pin, Membership]) -> list[Probe]:
        """What to read of a contact; more where the past has to be caught up with."""
        overdue = [at for pin in pins if (row := known.get(pin)) and (at := row.changes_at) and at < self.now]
        self.earliest = min([self.earliest, *overdue])
        asked = (pins, bool(overdue))
        if asked not in self._probes:
            self._probes[asked] = probes((self.defined[pin].members for pin in pins), spare=CATCH_UP if overdue else 0)
        return self._probes[asked]

    def of(
        self,
        contact_id: str,
        pins: frozenset[Pin],
        facts: Facts,
        known: Mapping[Pin, Membership],
        inner: InnerSegments,
    ) -> None:
        """Evaluate these versions for one contact, at each moment that is due, up to now."""
        counting = set()
        for pin in self._in_order(pins):
            old, kept, about = known.get(pin), self.kept[pin], self.defined[pin].inner
            own = self._enough(pin, facts) if facts.cut else facts
            row = old or Membership(contact_id, *pin, False, self.now, None, 0, told=True)
            begin = self.now if row.changes_at is None else min(row.changes_at, self.now)
            if about:
                own, begin = inner.added(own, about), min(begin, inner.first_turn(about) or self.now)
            before = row
            moment: datetime | None = begin
            for _ in range(CATCH_UP):
                if moment is None or moment > self.now:
                    break
                row = self._at(row, pin, own, moment)
                if row.member != before.member:
                    inner.turned(row.pin, moment)
                before, moment = row, row.changes_at
            if not kept.live:
                row = row._replace(told=not row.member or not kept.tells_existing or pin.segment in counting)
            elif row.member:
                counting.add(pin.segment)
            if self._to_write(old, row, kept):
                self.written.append(row)
            if kept.live and kept.sent_on and row.member != (old is not None and old.member):
                self.outgoing.append(Outgoing(contact_id, pin.segment, row.member, row.since))

    def _enough(self, pin: Pin, facts: Facts) -> Facts | None:
        """The facts; None if there are too many for this version."""
        return enough(facts, probes([self.defined[pin].members]), self.earliest)

    def _in_order(self, pins: frozenset[Pin]) -> Sequence[Pin]:
        """Versions that count come first, and among them those that others are about."""
        if pins not in self._orders:
            depths = depths_of({pin.segment: self.defined[pin].members for pin in pins if self.kept[pin].live})
            self._orders[pins] = sorted(pins, key=lambda pin: (not self.kept[pin].live, depths.get(pin.segment, 0)))
        return self._orders[pins]

    def _at(self, row: Membership, pin: Pin, facts: Facts | None, moment: datetime) -> Membership:
        """The membership as it is from that moment on."""
        answer = self.defined[pin].decider.judged(facts, moment)
        if answer is None:
            self.not_judged.append(row.segment)
        member, changes_at = answer or (False, self.now + AGAIN)
        if row.member and not member:
            stays_until = row.since + self.defined[pin].min_stay
            if moment < stays_until:
                member, changes_at = True, stays_until
        if member == row.member:
            return row if changes_at == row.changes_at else row._replace(changes_at=changes_at)
        row = row._replace(changes_at=changes_at)
        segment, reached = self.defined[pin], None
        tells = self.kept[pin].live and (member or row.told) and not self.silent
        if isinstance(segment, DateSegment):
            tells = tells and member
            reached = Reached(*segment.decider.told(facts, moment))
        if tells:
            change = Change(row.contact_id, row.segment, row.version, member, moment, row.seq + 1, reached)
            self.changes.append(change)
        return row._replace(member=member, since=moment, seq=row.seq + tells, told=True)

    def _to_write(self, old: Membership | None, new: Membership, kept: Kept) -> bool:
        """Whether the row has changed so that it must be written.

        A deadline that only moves later stays: it is looked at again when it comes, so that an active contact costs no
        write. While a version is being filled all rows are written: they tell the filling not to overwrite them.
        """
        if old is None:
            return new.member or new.changes_at is not None or not kept.live or kept.filling
        if (old.member, old.told) != (new.member, new.told):
            return True
        if old.changes_at is None or old.changes_at <= self.now:
            return new.changes_at != old.changes_at
        return new.changes_at is not None and new.changes_at < old.changes_at
