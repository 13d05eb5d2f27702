"""Hand a lead over: choose the salesperson, and store the handoff.

The lead goes to the first of these who is in the team and not away:

1. the contact's owner;
2. whoever has the contact already, from a handoff that waits or was accepted;
3. the next in turn among those whose condition (`takes`) holds;
4. the next in turn among those without a condition.

Only the last two use up a turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.ids import new_id
from store.engine.sql import any_of, as_json, many, utc_now
from store.people.handoffs.handoff import COLUMNS, Handoff, of_effect
from store.runs.condition_checks import holds
from store.schema.rows import Contact, Run, read_row
from tracks.policy.sales import Salesperson, Team


@dataclass(frozen=True, slots=True)
class Lead:
    """What is handed over by one step of a run."""

    run: Run
    effect_key: str
    step: str
    team: str
    reason: str
    summary: str
    due_at: datetime
    scores: Mapping[str, Any] | None = None
    explored: bool = False
    """Whether it is handed over by chance, without the grade that the step asks for."""


async def assign(tx: AsyncConnection, team: Team, lead: Lead, *, now: datetime | None = None) -> Handoff | None:
    """Store the handoff of this effect; a repeated call answers the one that is stored. None: nobody takes the lead.

    The caller has locked the contact, so that of two attempts the second sees what the first has stored.
    """
    now = now or utc_now()
    known = await of_effect(tx, lead.effect_key)
    if known is not None:
        return known
    contact = lead.run.contact
    assert contact is not None
    person = await _choose(tx, team, lead, contact, now)
    if person is None:
        return None
    values = {
        "id": new_id(),
        "key": lead.effect_key,
        "contact": contact.id,
        "enrollment": lead.run.enrollment.id,
        "track": lead.run.enrollment.track,
        "step": lead.step,
        "team": lead.team,
        "salesperson": person.id,
        "reason": lead.reason,
        "summary": lead.summary,
        "scores": None if lead.scores is None else as_json(lead.scores),
        "explored": lead.explored,
        "due": lead.due_at,
        "now": now,
    }
    return read_row(Handoff, (await tx.execute(_INSERT, values)).mappings().one())


async def rejected_at(tx: AsyncConnection, contact_id: str, since: datetime) -> datetime | None:
    """When sales last rejected the contact after that moment, be it too late to count; None if it did not."""
    found = (await tx.execute(_REJECTED, {"contact": contact_id, "since": since})).scalar_one()
    return found if isinstance(found, datetime) else None


async def set_task(tx: AsyncConnection, effect_key: str, crm_task_id: str | None = None) -> None:
    """Note the CRM's id of the task for the handoff; None: it is the task of that effect in the built-in CRM."""
    await tx.execute(_TASK, {"key": effect_key, "task": crm_task_id})


async def _choose(tx: AsyncConnection, team: Team, lead: Lead, contact: Contact, now: datetime) -> Salesperson | None:
    here = {person.id: person for person in team.people if not person.away}
    owner = (contact.attributes or {}).get(team.owner) if team.owner else None
    if owner is not None:
        for person in here.values():
            if str(owner).strip().lower() in _names(person):
                return person
    asked = {"contact": contact.id, "team": lead.team, "people": list(here)}
    known = (await tx.execute(_KNOWN, asked)).scalar_one_or_none()
    if known is not None:
        return here[known]
    context = {"contact": contact.view(), "now": lead.run.enrollment.clock.at(now)}
    track = lead.run.enrollment.track
    taking = [
        person.id
        for person in here.values()
        if person.takes is not None and await holds(tx, person.takes, context, track, "handoff")
    ]
    anybody = [person.id for person in here.values() if person.takes is None]
    next_one = await _next(tx, lead.team, taking or anybody)
    return here[next_one] if next_one else None


def _names(person: Salesperson) -> set[str]:
    return {name.lower() for name in (person.id, person.email, person.crm_owner) if name}


async def _next(tx: AsyncConnection, team: str, people: Sequence[str]) -> str | None:
    """The one of these people whose last turn is the longest ago; it is their turn now.

    Transactions that choose for one team wait for each other, so that no turn is given twice.
    """
    if not people:
        return None
    await tx.execute(_ONE_AT_A_TIME, {"team": f"handoff {team}"})
    row = (await tx.execute(_TURN, {"team": team, "person": list(people)})).one()
    return str(row.salesperson)


_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended(:team, 1))")
_TURN = text(f"""
    INSERT INTO handoff_turn AS t (team, salesperson, turn)
    SELECT :team, p.person, (SELECT coalesce(max(turn), 0) + 1 FROM handoff_turn WHERE team = :team)
    FROM {many("p", person="text")} LEFT JOIN handoff_turn d ON d.team = :team AND d.salesperson = p.person
    ORDER BY coalesce(d.turn, 0), p.ord LIMIT 1
    ON CONFLICT (team, salesperson) DO UPDATE SET turn = excluded.turn
    RETURNING salesperson
""")
_KNOWN = text(f"""
    SELECT salesperson FROM handoff
    WHERE contact_id = :contact AND team = :team AND status IN ('waiting', 'accepted')
        AND salesperson = {any_of("people")}
    ORDER BY id DESC LIMIT 1
""")
_REJECTED = text("""
    SELECT max(r.at) FROM handoff o CROSS JOIN LATERAL (
        SELECT o.answered_at AS at WHERE o.status = 'rejected'
        UNION ALL
        SELECT CAST(l.value ->> 'at' AS timestamptz) FROM jsonb_array_elements(o.late_answers) l
        WHERE l.value ->> 'status' = 'rejected'
    ) r
    WHERE o.contact_id = :contact AND r.at > :since
""")
_INSERT = text(f"""
    INSERT INTO handoff AS o (id, effect_key, contact_id, enrollment_id, seq, track, step, team, salesperson, reason,
        summary, scores, explored, status, at, due_at)
    VALUES (:id, :key, :contact, :enrollment,
        (SELECT coalesce(max(seq), 0) + 1 FROM handoff WHERE contact_id = :contact),
        :track, :step, :team, :salesperson, :reason, :summary, CAST(:scores AS jsonb), :explored, 'waiting', :now, :due)
    RETURNING {COLUMNS}
""")
# A handoff may be answered while the outside CRM makes its task. The task is then updated at once.
_TASK = text("""
    UPDATE handoff SET crm_task_id = coalesce(
        CAST(:task AS text), (SELECT CAST(t.id AS text) FROM crm_task t WHERE t.effect_key = :key)
    ), task_update_at = CASE WHEN CAST(:task AS text) IS NOT NULL AND status <> 'waiting' THEN now() END
    WHERE effect_key = :key
""")
