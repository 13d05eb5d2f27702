"""Whether a contact is a member of a segment, and why: leaf by leaf, with the events that decide."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.facts import Facts
from audience.segments.evaluation import Answer, LeafAnswer, evaluate
from audience.segments.members import Condition, Members
from store.audience.segments.member_lists import Stored
from store.audience.standings import all_facts_of
from store.schema.rows import Contact
from tracks.conditions.conditions import ConditionError


class LeafDecision(BaseModel):
    """What one leaf of the segment says of a contact."""

    leaf: str | dict[str, Any] = Field(description="The leaf as it was written.")
    holds: bool
    count: int | None = Field(description="How many events it counts; null for a leaf that is about no event.")
    events: list[str] = Field(description="Ids of the newest events that decide it.")
    why: str = Field(description="Why it could not be computed, such as `missing`; empty if it could.")
    value: float | date | None = Field(description="The sum or another such figure; the day that a date means.")
    left_out: int = Field(description="How many events a figure does not count, because of their property.")


class ContactDecision(BaseModel):
    """Whether one contact is a member."""

    contact_id: str
    member: bool | None = Field(description="Null if the contact has too many events, or too much data, to be judged.")
    changes_at: datetime | None = Field(description="When that changes if nothing else happens; null: never.")
    stays_until: datetime | None = Field(
        None, description="No member by the leaves, but one until then, or later, because of the segment's `min_stay`."
    )
    leaves: list[LeafDecision]


async def decide(tx: AsyncConnection, members: Members, contact: Contact, now: datetime) -> ContactDecision:
    """The decision about one contact, with all events counted."""
    facts = await all_facts_of(tx, [contact], members, now)
    answer = judged(members, facts[contact.id], now)
    if answer is None:
        return ContactDecision(contact_id=contact.id, member=None, changes_at=None, leaves=[])
    return ContactDecision(
        contact_id=contact.id,
        member=answer.member,
        changes_at=answer.changes_at,
        leaves=[_leaf(one) for one in answer.leaves],
    )


def staying(decision: ContactDecision, stored: Stored | None, min_stay: timedelta, now: datetime) -> ContactDecision:
    """The decision about a contact who may be a member still because they have entered only recently."""
    if decision.member is not False or stored is None or not stored.member or now >= stored.since + min_stay:
        return decision
    until = stored.since + min_stay
    return decision.model_copy(update={"member": True, "changes_at": until, "stays_until": until})


def judged(members: Members, facts: Facts | None, now: datetime) -> Answer | None:
    """The answer; None for a contact with too many events, or too much data."""
    try:
        return evaluate(members, facts, now) if facts is not None else None
    except ConditionError:
        return None


def _leaf(one: LeafAnswer) -> LeafDecision:
    leaf = one.leaf
    written: str | dict[str, Any]
    written = leaf.text if isinstance(leaf, Condition) else leaf.model_dump(mode="json", exclude_defaults=True)
    ids = [fact.event_id for fact in one.facts]
    return LeafDecision(
        leaf=written,
        holds=one.holds,
        count=one.count,
        events=ids,
        why=one.why,
        value=one.value,
        left_out=one.left_out,
    )
