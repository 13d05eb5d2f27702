"""Keep who is a member of which segment: exact at each commit, in the transaction that stores the cause.

What is written follows from `audience.segments.evaluation` over the stored facts, never from a count kept beside them.
Scores keep what their rules have counted (`audience.scores.tally`); that too follows from the facts, and is checked.
Contacts are locked first: two transactions that each bring half of what makes a member cannot miss each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.segments.document import Segment
from audience.segments.inner_segments import outer_by_inner, with_outer
from audience.segments.probes import Probe, merged
from store.audience.facts import HOLD, facts_beside, shared_facts_of
from store.audience.fresh_events import FreshEvent
from store.audience.memberships.inner_segments import InnerSegments
from store.audience.memberships.membership_evaluation import Change as Change
from store.audience.memberships.membership_evaluation import Evaluation, Kept
from store.audience.memberships.membership_rows import MEMBERSHIP_NAMES, Membership, Pin, write
from store.audience.scores import values as score_values
from store.audience.scores.updating import Concern, ScoreUpdate
from store.audience.scores.values import GradeChange
from store.audience.standings import with_standings
from store.audience.webhooks import outgoing
from store.engine.driver_sql import together
from store.engine.pipeline import Statement
from store.engine.sql import any_of
from store.published import segments
from store.published.segments import ANY_CONTACT, trigger_of
from store.schema.rows import Contact, read_row


class Touch(NamedTuple):
    """What happened to a contact: events of these names, or causes of other kinds
    (`audience.segments.leaves.standings`); whether a field changed; whether the contact is new. An empty one looks for
    what is overdue.

    `scored`: a score may be about these events. It is not asked otherwise, so that other events cost nothing more.
    `fresh`: those of the events that this transaction has stored, each given to one `update` alone.
    """

    events: frozenset[str] = frozenset()
    changed: bool = False
    created: bool = False
    scored: bool = False
    fresh: tuple[FreshEvent, ...] = ()


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
    evaluation = Evaluation(kept, defined, now, silent=silent)
    wanted = [(person, _probes(evaluation, scored, person.id, asked[person.id], known)) for person in people]
    since = min(evaluation.earliest, scored.earliest)
    facts, fresh = await facts_beside(tx, wanted, since, scored.fresh.statements())
    scored.fresh.take(fresh)
    again = [person for person in people if not scored.of(person.id, facts[person.id])]
    if again:
        more = await shared_facts_of(tx, [(person, scored.all_probes(person.id)) for person in again], since)
        for person in again:
            scored.of(person.id, more[person.id])
    score_values.write(tx, scored.written)
    trees = [one.members for one in defined.values()]
    facts = await with_standings(tx, people, trees, facts, segments=False)
    counting = await _counting(tx, defined, kept)
    for person in people:
        own = InnerSegments({pin: row.member for pin, row in known[person.id].items()}, counting)
        evaluation.of(person.id, asked[person.id], facts[person.id], known[person.id], own)
    write(tx, evaluation.written)
    outgoing.queue(tx, evaluation.outgoing, now)
    if any(one.sent_on for one in kept.values()):
        outgoing.queue_changed(tx, [who for who in known if touched[who].changed or touched[who].created], now)
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
        contact_id: Concern(
            touch.events | ({ANY_CONTACT} if touch.changed else frozenset()), touch.created, touch.fresh
        )
        for contact_id, touch in touched.items()
        if touch.scored or touch.changed or touch.created or touch == due
    }


def _probes(
    evaluation: Evaluation,
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
