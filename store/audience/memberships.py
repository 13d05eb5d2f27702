"""Keep who is a member of which segment: exact at each commit, in the transaction that stores the cause.

What is written follows from `audience.segments.evaluation` over the stored facts, never from a count kept beside them.
Contacts are locked first: two transactions that each bring half of what makes a member cannot miss each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.facts import Facts
from audience.segments.date_moments import DateSegment
from audience.segments.document import Segment
from audience.segments.inner_segments import depths_of, outer_by_inner, with_outer
from audience.segments.probes import Probe, merged, probes
from store.audience.facts import AGAIN, CATCH_UP, HOLD, enough, shared_facts_of
from store.audience.inner_segments import InnerSegments
from store.audience.membership_rows import MEMBERSHIP_NAMES, Membership, Pin, write
from store.audience.scores import values as score_values
from store.audience.scores.updating import Concern, ScoreUpdate
from store.audience.scores.values import GradeChange
from store.audience.standings import with_standings
from store.audience.webhooks import outgoing
from store.audience.webhooks.outgoing import Outgoing
from store.engine.driver_sql import together
from store.engine.pipeline import Statement
from store.engine.sql import any_of
from store.published import segments
from store.published.segments import ANY_CONTACT, trigger_of
from store.schema.rows import Contact, read_row


class Touch(NamedTuple):
    """What happened to a contact: events of these names, or causes of other kinds (`audience.segments.standings`);
    whether a field changed; whether the contact is new. An empty one looks for what is overdue.

    `scored`: a score may be about these events. It is not asked otherwise, so that other events cost nothing more.
    """

    events: frozenset[str] = frozenset()
    changed: bool = False
    created: bool = False
    scored: bool = False


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
class Updated:
    """The changes to tell, each kind in order; and the segments and scores for which a contact could not be judged,
    once per contact."""

    changes: Sequence[Change]
    not_judged: Sequence[str]
    graded: Sequence[GradeChange] = ()
    not_scored: Sequence[str] = ()
    scored: frozenset[str] = frozenset()
    """The contacts whose stored values changed."""


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


async def update(
    tx: AsyncConnection,
    touched: Mapping[str, Touch],
    now: datetime,
    *,
    held: Mapping[str, Contact] | None = None,
    silent: bool = False,
) -> Updated:
    """Bring the memberships and scores of these contacts up to date, with all that was stored in this transaction.

    Changes that were due earlier by time alone are told with their own moments. The contacts stay locked; `held` are
    those that are locked already, as they are now. `silent`: changes of segments are not to be told.
    """
    scored = ScoreUpdate(_of_scores(touched), now)
    people, kept, known = await _read(tx, touched, now, held, scored)
    outer = outer_by_inner((pin.segment, one.events) for pin, one in kept.items())
    asked = {person.id: _concerned(touched[person.id], kept, known[person.id], outer, now) for person in people}
    people = [person for person in people if asked[person.id] or scored.concerns(person.id)]
    if not people:
        return Updated((), ())
    wanted_pins = frozenset[Pin]().union(*asked.values())
    defined = {pin: await segments.definition(tx, *pin) for pin in wanted_pins}
    evaluation = _Evaluation(kept, defined, now, silent=silent)
    wanted = [(person, _probes(evaluation, scored, person.id, asked[person.id], known)) for person in people]
    facts = await shared_facts_of(tx, wanted, min(evaluation.earliest, scored.earliest))
    for person in people:
        scored.of(person.id, facts[person.id])
    score_values.write(tx, scored.written)
    trees = [one.members for one in defined.values()]
    facts = await with_standings(tx, people, trees, facts, segments=False)
    counting = await _counting(tx, defined, kept)
    for person in people:
        own = InnerSegments({pin: row.member for pin, row in known[person.id].items()}, counting)
        evaluation.of(person.id, asked[person.id], facts[person.id], known[person.id], own)
    write(tx, evaluation.written)
    outgoing.queue(tx, evaluation.outgoing, now)
    here = Updated(
        sorted(evaluation.changes, key=lambda change: change.at),
        evaluation.not_judged,
        sorted(scored.changes, key=lambda change: change.at),
        scored.not_judged,
        frozenset(value.contact_id for value in scored.written),
    )
    return await _about_grades(tx, here, {person.id: person for person in people}, now, silent)


def _of_scores(touched: Mapping[str, Touch]) -> dict[str, Concern]:
    """The contacts whose scores are to be looked at."""
    due = Touch()
    return {
        contact_id: Concern(touch.events | ({ANY_CONTACT} if touch.changed else frozenset()), everything=touch.created)
        for contact_id, touch in touched.items()
        if touch.scored or touch.changed or touch.created or touch == due
    }


def _probes(
    evaluation: _Evaluation,
    scored: ScoreUpdate,
    contact_id: str,
    pins: frozenset[Pin],
    known: Mapping[str, Mapping[Pin, Membership]],
) -> list[Probe]:
    """What to read of a contact, for segments and scores together."""
    for_scores = scored.probes(contact_id)
    for_segments = evaluation.probes(pins, known[contact_id]) if pins else []
    return merged([*for_segments, *for_scores]) if for_segments and for_scores else for_segments or for_scores


async def _about_grades(
    tx: AsyncConnection, found: Updated, held: Mapping[str, Contact], now: datetime, silent: bool
) -> Updated:
    """Bring the segments up to date that are about a grade which changed."""
    if not found.graded:
        return found
    names: dict[str, set[str]] = {}
    for change in found.graded:
        names.setdefault(change.contact_id, set()).add(trigger_of(change.score))
    touched = {contact_id: Touch(frozenset(its)) for contact_id, its in names.items()}
    more = await update(tx, touched, now, held={contact_id: held[contact_id] for contact_id in touched}, silent=silent)
    return replace(found, changes=[*found.changes, *more.changes], not_judged=[*found.not_judged, *more.not_judged])


async def _read(
    tx: AsyncConnection,
    touched: Mapping[str, Touch],
    now: datetime,
    held: Mapping[str, Contact] | None,
    scored: ScoreUpdate,
) -> tuple[list[Contact], dict[Pin, Kept], dict[str, dict[Pin, Membership]]]:
    """The contacts, locked; the versions that may concern them; and their memberships."""
    ids = sorted(touched if held is None else held.keys() & touched.keys())
    names = {name for touch in touched.values() for name in touch.events}
    if any(touch.changed for touch in touched.values()):
        names.add(ANY_CONTACT)
    everything = any(touch.created for touch in touched.values())
    asked = [Statement(HOLD, {"ids": ids})] if held is None else []
    given = {"names": sorted(names), "ids": ids, "everything": everything, "now": now}
    asked.append(Statement(_KEPT, given))
    asked.append(Statement(_KNOWN, {"ids": ids}))  # its snapshot is taken when the contacts are locked
    answers = await together(tx, *asked, *scored.statements())
    locked = [answers.pop(0)] if held is None else []
    found, memberships, *of_scores = answers
    await scored.read(tx, of_scores)
    versions = found.all()
    if not everything and any(row.inner for row in versions):
        versions = (await tx.execute(_KEPT_WITH_OUTER, given)).all()
    people = [read_row(Contact, row) for row in locked[0].mappings()] if locked else [held[i] for i in ids if held]
    kept = {
        Pin(row.segment, row.version): Kept(
            row.live, row.existing == "enter", frozenset(row.events), row.filling, row.sent_on
        )
        for row in versions
    }
    known: dict[str, dict[Pin, Membership]] = {contact_id: {} for contact_id in ids}
    for row in memberships:
        membership = Membership._make(row)
        known[membership.contact_id][membership.pin] = membership
    return people, kept, known


async def _counting(tx: AsyncConnection, defined: Mapping[Pin, Segment], kept: Mapping[Pin, Kept]) -> Mapping[str, int]:
    """The versions that count of the segments that these are about.

    One that goes live at this moment does not count yet if it is evaluated here: those whom that concerns are evaluated
    again afterwards (`segment_revisits`).
    """
    inner = {leaf.in_ for one in defined.values() for leaf in one.inner}
    evaluated = {pin.segment for pin in kept}
    others = await segments.counting_versions(tx, inner - evaluated)
    return {**others, **{pin.segment: pin.version for pin, one in kept.items() if one.live}}


def _concerned(
    touch: Touch,
    kept: Mapping[Pin, Kept],
    known: Mapping[Pin, Membership],
    outer: Mapping[str, set[str]],
    now: datetime,
) -> frozenset[Pin]:
    """The versions to evaluate: those that these events concern, and those where something is overdue.

    All versions of a segment together: whether a change of one is told depends on the other.
    """
    names = touch.events | ({ANY_CONTACT} if touch.changed else frozenset())
    found = {pin.segment for pin, one in kept.items() if touch.created or names & one.events}
    found |= {pin.segment for pin, row in known.items() if row.changes_at is not None and row.changes_at <= now}
    found = with_outer(found, outer)
    return frozenset(pin for pin in kept if pin.segment in found)


class _Evaluation:
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
            own = inner.added(self._enough(pin, facts), about)
            row = old or Membership(contact_id, *pin, False, self.now, None, 0, told=True)
            moment: datetime | None = min(row.changes_at or self.now, inner.first_turn(about) or self.now, self.now)
            before = row
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
        return enough(facts, probes([self.defined[pin].members]), self.earliest) if facts.cut else facts

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
        stays_until = row.since + self.defined[pin].min_stay
        if row.member and not member and moment < stays_until:
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


_SEEDS = f"""
    SELECT segment FROM segment_trigger WHERE event = {any_of("names")}
    UNION ALL
    SELECT segment FROM membership WHERE contact_id = {any_of("ids")} AND changes_at <= :now
"""
_VERSIONS = """
    SELECT t.segment, t.version, array_agg(t.event) AS events, s.live IS NOT DISTINCT FROM t.version AS live,
        v.existing, v.state = 'filling' AS filling,
        EXISTS (SELECT FROM segment_trigger o WHERE o.event = E'in\\n' || t.segment) AS inner,
        EXISTS (SELECT FROM segment_webhook w WHERE w.segment = t.segment) AS sent_on
    FROM segment_trigger t JOIN segment s ON s.name = t.segment
    JOIN segment_version v ON v.segment = t.segment AND v.version = t.version
"""
_GROUPED = "GROUP BY t.segment, t.version, s.live, v.existing, v.state"
_KEPT = text(f"{_VERSIONS} WHERE :everything OR t.segment IN ({_SEEDS}) {_GROUPED}")
_KEPT_WITH_OUTER = text(f"""
    WITH RECURSIVE concerned (segment) AS (
        SELECT segment FROM ({_SEEDS}) first
        UNION
        SELECT t.segment FROM concerned c JOIN segment_trigger t ON t.event = E'in\\n' || c.segment
    )
    {_VERSIONS} WHERE :everything OR t.segment IN (SELECT segment FROM concerned) {_GROUPED}
""")
_KNOWN = text(f"SELECT {MEMBERSHIP_NAMES} FROM membership WHERE contact_id = {any_of('ids')}")
