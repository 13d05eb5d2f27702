"""Keep who is a member of which segment: exact at each commit, in the transaction that stores the cause.

What is written follows from `audience.segments.evaluation` over the stored facts, never from a count kept beside them.
Contacts are locked first: two transactions that each bring half of what makes a member cannot miss each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.facts import Facts
from audience.segments.document import Segment
from audience.segments.probes import Probe, probes
from store.audience.facts import HOLD, facts_of
from store.audience.webhooks import outgoing
from store.audience.webhooks.outgoing import Outgoing
from store.engine.driver_sql import later, together
from store.engine.pipeline import Statement
from store.engine.sql import any_of, many
from store.published import segments
from store.published.segments import ANY_CONTACT
from store.schema.rows import Contact, read_row

AGAIN = timedelta(days=1)
"""When a contact who could not be judged is looked at again: events may have left the windows by then."""
CATCH_UP = 200
"""Changes of one contact and segment that are told one by one after an outage, and events that are read for it."""


class Touch(NamedTuple):
    """What happened to a contact: events of these names; whether a field changed; whether the contact is new."""

    events: frozenset[str] = frozenset()
    changed: bool = False
    created: bool = False


class Pin(NamedTuple):
    """A version of a segment."""

    segment: str
    version: int


class Membership(NamedTuple):
    """Whether a contact is a member; see the table `membership`."""

    contact_id: str
    segment: str
    version: int
    member: bool
    since: datetime
    changes_at: datetime | None
    seq: int
    told: bool

    @property
    def pin(self) -> Pin:
        """The version that this is about."""
        return Pin(self.segment, self.version)


@dataclass(frozen=True, slots=True)
class Change:
    """A contact entered a segment or left it, at that moment; to be told as an event. `seq` counts from 1."""

    contact_id: str
    segment: str
    version: int
    entered: bool
    at: datetime
    seq: int


@dataclass(frozen=True, slots=True)
class Updated:
    """The changes to tell, in order; and the segments for which a contact could not be judged, once per contact."""

    changes: Sequence[Change]
    not_judged: Sequence[str]


@dataclass(frozen=True, slots=True)
class Kept:
    """A version whose members are kept.

    `live`: it counts. `tells_existing`: those who are members when it goes live are told. `events` are its triggers.
    `sent_on`: the segment has webhooks.
    """

    live: bool
    tells_existing: bool
    events: frozenset[str]
    sent_on: bool


async def update(
    tx: AsyncConnection, touched: Mapping[str, Touch], now: datetime, *, held: Mapping[str, Contact] | None = None
) -> Updated:
    """Bring the memberships of these contacts up to date, with all that was stored in this transaction.

    Changes that were due earlier by time alone are told with their own moments. The contacts stay locked; `held` are
    those that are locked already, as they are now.
    """
    people, kept, known = await _read(tx, touched, now, held)
    asked = {person.id: _concerned(touched[person.id], kept, known[person.id], now) for person in people}
    people = [person for person in people if asked[person.id]]
    if not people:
        return Updated((), ())
    wanted_pins = frozenset[Pin]().union(*asked.values())
    defined = {pin: await segments.definition(tx, *pin) for pin in wanted_pins}
    evaluation = _Evaluation(kept, defined, now)
    wanted = [(person, evaluation.probes(asked[person.id], known[person.id])) for person in people]
    facts = await facts_of(tx, wanted, evaluation.earliest)
    for person in people:
        evaluation.of(person.id, asked[person.id], facts[person.id], known[person.id])
    write(tx, evaluation.written)
    outgoing.queue(tx, evaluation.outgoing, now)
    return Updated(sorted(evaluation.changes, key=lambda change: change.at), evaluation.not_judged)


async def _read(
    tx: AsyncConnection, touched: Mapping[str, Touch], now: datetime, held: Mapping[str, Contact] | None
) -> tuple[list[Contact], dict[Pin, Kept], dict[str, dict[Pin, Membership]]]:
    """The contacts, locked; the versions that may concern them; and their memberships."""
    ids = sorted(touched if held is None else held.keys() & touched.keys())
    names = {name for touch in touched.values() for name in touch.events}
    if any(touch.changed for touch in touched.values()):
        names.add(ANY_CONTACT)
    everything = any(touch.created for touch in touched.values())
    asked = [Statement(HOLD, {"ids": ids})] if held is None else []
    asked.append(Statement(_KEPT, {"names": sorted(names), "ids": ids, "everything": everything, "now": now}))
    asked.append(Statement(_KNOWN, {"ids": ids}))  # its snapshot is taken when the contacts are locked
    *locked, versions, memberships = await together(tx, *asked)
    people = [read_row(Contact, row) for row in locked[0].mappings()] if locked else [held[i] for i in ids if held]
    kept = {
        Pin(row.segment, row.version): Kept(row.live, row.existing == "enter", frozenset(row.events), row.sent_on)
        for row in versions
    }
    known: dict[str, dict[Pin, Membership]] = {contact_id: {} for contact_id in ids}
    for row in memberships:
        membership = Membership._make(row)
        known[membership.contact_id][membership.pin] = membership
    return people, kept, known


def _concerned(
    touch: Touch, kept: Mapping[Pin, Kept], known: Mapping[Pin, Membership], now: datetime
) -> frozenset[Pin]:
    """The versions to evaluate: those that these events concern, and those where something is overdue.

    All versions of a segment together: whether a change of one is told depends on the other.
    """
    names = touch.events | ({ANY_CONTACT} if touch.changed else frozenset())
    found = {pin.segment for pin, one in kept.items() if touch.created or names & one.events}
    found |= {pin.segment for pin, row in known.items() if row.changes_at is not None and row.changes_at <= now}
    return frozenset(pin for pin in kept if pin.segment in found)


class _Evaluation:
    """Evaluates, and collects what has to be written and told."""

    def __init__(self, kept: Mapping[Pin, Kept], defined: Mapping[Pin, Segment], now: datetime) -> None:
        self.kept, self.defined, self.now = kept, defined, now
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

    def of(self, contact_id: str, pins: frozenset[Pin], facts: Facts | None, known: Mapping[Pin, Membership]) -> None:
        """Evaluate these versions for one contact, at each moment that is due, up to now."""
        counting = set()
        for pin in self._live_first(pins):
            old, kept = known.get(pin), self.kept[pin]
            row = old or Membership(contact_id, *pin, False, self.now, None, 0, told=True)
            moment: datetime | None = self.now if row.changes_at is None else min(row.changes_at, self.now)
            for _ in range(CATCH_UP):
                if moment is None or moment > self.now:
                    break
                row = self._at(row, pin, facts, moment)
                moment = row.changes_at
            if not kept.live:
                row = row._replace(told=not row.member or not kept.tells_existing or pin.segment in counting)
            elif row.member:
                counting.add(pin.segment)
            if self._to_write(old, row, kept):
                self.written.append(row)
            if kept.live and kept.sent_on and row.member != (old is not None and old.member):
                self.outgoing.append(Outgoing(contact_id, pin.segment, row.member, row.since))

    def _live_first(self, pins: frozenset[Pin]) -> Sequence[Pin]:
        if pins not in self._orders:
            self._orders[pins] = sorted(pins, key=lambda pin: not self.kept[pin].live)
        return self._orders[pins]

    def _at(self, row: Membership, pin: Pin, facts: Facts | None, moment: datetime) -> Membership:
        """The membership as it is from that moment on."""
        answer = self.defined[pin].decider.judged(facts, moment)
        if answer is None:
            self.not_judged.append(row.segment)
        member, changes_at = answer or (False, self.now + AGAIN)
        if member == row.member:
            return row if changes_at == row.changes_at else row._replace(changes_at=changes_at)
        row = row._replace(changes_at=changes_at)
        tells = self.kept[pin].live and (member or row.told)
        if tells:
            self.changes.append(Change(row.contact_id, row.segment, row.version, member, moment, row.seq + 1))
        return row._replace(member=member, since=moment, seq=row.seq + tells, told=True)

    def _to_write(self, old: Membership | None, new: Membership, kept: Kept) -> bool:
        """Whether the row has changed so that it must be written.

        A deadline that only moves later stays: it is looked at again when it comes, so that an active contact costs no
        write. While a version is being filled all rows are written: they tell the filling not to overwrite them.
        """
        if old is None:
            return new.member or new.changes_at is not None or not kept.live
        if (old.member, old.told) != (new.member, new.told):
            return True
        if old.changes_at is None or old.changes_at <= self.now:
            return new.changes_at != old.changes_at
        return new.changes_at is not None and new.changes_at < old.changes_at


def write(tx: AsyncConnection, rows: Sequence[Membership]) -> None:
    """Write these memberships together with the next statement of the transaction."""
    if rows:
        later(tx, _WRITE, arrays(rows))


def arrays(rows: Sequence[Membership]) -> dict[str, Any]:
    """The values of `MEMBERSHIPS`, in the order of their keys: the same everywhere prevents deadlocks."""
    ordered = sorted(rows, key=lambda row: (row.contact_id, row.pin))
    return {name: [getattr(row, name) for row in ordered] for name in MEMBERSHIP_COLUMNS}


MEMBERSHIP_COLUMNS: Mapping[str, str] = {
    "contact_id": "text",
    "segment": "text",
    "version": "int",
    "member": "bool",
    "since": "timestamptz",
    "changes_at": "timestamptz",
    "seq": "int",
    "told": "bool",
}
MEMBERSHIPS = many("i", **MEMBERSHIP_COLUMNS)
MEMBERSHIP_NAMES = ", ".join(MEMBERSHIP_COLUMNS)
_KEPT = text(f"""
    SELECT t.segment, t.version, array_agg(t.event) AS events, s.live IS NOT DISTINCT FROM t.version AS live,
        v.existing, EXISTS (SELECT FROM segment_webhook w WHERE w.segment = t.segment) AS sent_on
    FROM segment_trigger t JOIN segment s ON s.name = t.segment
    JOIN segment_version v ON v.segment = t.segment AND v.version = t.version
    WHERE :everything OR t.segment IN (
        SELECT segment FROM segment_trigger WHERE event = {any_of("names")}
        UNION ALL
        SELECT segment FROM membership WHERE contact_id = {any_of("ids")} AND changes_at <= :now
    )
    GROUP BY t.segment, t.version, s.live, v.existing
""")
_KNOWN = text(f"SELECT {MEMBERSHIP_NAMES} FROM membership WHERE contact_id = {any_of('ids')}")
_WRITE = text(f"""
    INSERT INTO membership ({MEMBERSHIP_NAMES}) SELECT {MEMBERSHIP_NAMES} FROM {MEMBERSHIPS} ORDER BY ord
    ON CONFLICT (contact_id, segment, version) DO UPDATE SET
        member = excluded.member, since = excluded.since, changes_at = excluded.changes_at, seq = excluded.seq,
        told = excluded.told
""")
