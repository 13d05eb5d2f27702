"""Segments: who would be a member of one, before it is published."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import sqrt
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.http.auth import KeyedRoute
from api.http.context import Ctx
from api.http.fields import Identifier
from api.http.problems import FieldProblem, documented, not_found, not_published
from audience.segments.document import Segment, read_segment
from audience.segments.evaluation import Answer, Fact, Facts, LeafAnswer, evaluate
from audience.segments.members import Condition, events_of, longest_window
from store.audience.facts import facts_of, horizon, sample
from store.people import contacts
from store.schema.rows import Contact
from tracks.conditions.conditions import ConditionError

router = APIRouter(prefix="/v1/segments", tags=["segments"], route_class=KeyedRoute, responses=documented(401, 422))

SAMPLE = 2_000
"""Contacts that a preview evaluates: some seconds of work, and a share that is known to 2 percent."""
SHOWN = 10
"""Members that a preview names."""
AT_ONCE = 200
"""Contacts that are evaluated in one thread before others have a turn."""
Z = 1.96
"""The normal quantile of a confidence of 95 percent."""


class SegmentPreviewRequest(BaseModel):
    """A segment to try."""

    model_config = ConfigDict(extra="forbid")

    source: Annotated[str, StringConstraints(min_length=1, max_length=100_000)] = Field(
        description="The segment's YAML.", examples=['segment: team\nmembers: contact.attributes.plan == "team"\n']
    )
    contact_id: Identifier | None = Field(None, description="Whether this contact would be a member, and why.")


class LeafDecision(BaseModel):
    """What one leaf of the segment says of a contact."""

    leaf: str | dict[str, Any] = Field(description="The leaf as it was written.")
    holds: bool
    count: int | None = Field(description="How many events it counts; null for a condition.")
    events: list[str] = Field(description="Ids of the newest events that decide it.")
    why: str = Field(description="Why a condition could not be computed, such as `missing`; empty if it could.")


class ContactDecision(BaseModel):
    """Whether one contact would be a member."""

    contact_id: str
    member: bool | None = Field(description="Null if the contact has too many events, or too much data, to be judged.")
    changes_at: datetime | None = Field(description="When that changes if nothing else happens; null: never.")
    leaves: list[LeafDecision]


class SegmentPreview(BaseModel):
    """Who would be a member now. Nothing is kept."""

    segment: str
    contacts: int = Field(description="How many contacts there are.")
    evaluated: int = Field(description="How many of them were evaluated: all, or a random sample.")
    members: int = Field(description="How many of those evaluated are members.")
    not_judged: int = Field(description="How many of those evaluated have too many events or too much data.")
    estimate: tuple[int, int] = Field(
        description="Members among all contacts, from and to, at a confidence of 95 percent (Wilson's interval). "
        "Both are equal if all were evaluated."
    )
    sample: list[str] = Field(description="Ids of some members.")
    contact: ContactDecision | None = Field(None, description="The decision about `contact_id`.")


@router.post("/preview", summary="Preview a segment", responses=documented(404))
async def preview_segment(body: SegmentPreviewRequest, ctx: Ctx) -> SegmentPreview:
    """Checks the segment and evaluates it now, for a sample of the contacts and for one contact in particular."""
    reading = await asyncio.to_thread(read_segment, body.source, "segment")
    if reading.segment is None:
        raise not_published("segment", [FieldProblem(detail=p.message, line=p.line or None) for p in reading.problems])
    segment, now = reading.segment, datetime.now(UTC)
    names, since = events_of(segment.members), horizon(longest_window(segment.members), now)
    async with ctx.db.transaction() as tx:
        one = await contacts.get(tx, body.contact_id) if body.contact_id is not None else None
        if one is None and body.contact_id is not None:
            raise not_found(f"contact {body.contact_id}")
        drawn = await sample(tx, SAMPLE)
    answers: dict[str, Answer | None] = {}
    for people in ([one] if one else [], *_chunks(drawn.contacts)):
        async with ctx.db.transaction() as tx:
            facts = await facts_of(tx, people, names, since)
        answers |= await asyncio.to_thread(_evaluate, segment, facts, now)
    counted = [answers[person.id] for person in drawn.contacts]
    members = sum(answer is not None and answer.member for answer in counted)
    judged = sum(answer is not None for answer in counted)
    low, high = (members, members) if drawn.complete else _estimate(members, judged, drawn.total)
    found = [person.id for person in drawn.contacts if (answer := answers[person.id]) and answer.member]
    return SegmentPreview(
        segment=segment.segment,
        contacts=drawn.total,
        evaluated=len(counted),
        members=members,
        not_judged=len(counted) - judged,
        estimate=(low, high),
        sample=found[:: max(1, len(found) // SHOWN)][:SHOWN],
        contact=_decision(one.id, answers[one.id]) if one else None,
    )


def _chunks(people: Sequence[Contact]) -> list[Sequence[Contact]]:
    return [people[start : start + AT_ONCE] for start in range(0, len(people), AT_ONCE)]


def _evaluate(segment: Segment, facts: Mapping[str, Facts | None], now: datetime) -> dict[str, Answer | None]:
    answers: dict[str, Answer | None] = {}
    for contact_id, known in facts.items():
        try:
            answers[contact_id] = evaluate(segment.members, known, now) if known is not None else None
        except ConditionError:
            answers[contact_id] = None
    return answers


def _estimate(members: int, judged: int, total: int) -> tuple[int, int]:
    """Wilson's score interval of a share (E. B. Wilson, JASA 22, 1927), as numbers of all contacts."""
    if judged == 0:
        return 0, total
    share = members / judged
    middle = share + Z * Z / (2 * judged)
    spread = Z * sqrt(share * (1 - share) / judged + Z * Z / (4 * judged * judged))
    scale = 1 + Z * Z / judged
    low, high = (middle - spread) / scale, (middle + spread) / scale
    return max(members, round(low * total)), min(total, round(high * total))


def _decision(contact_id: str, answer: Answer | None) -> ContactDecision:
    if answer is None:
        return ContactDecision(contact_id=contact_id, member=None, changes_at=None, leaves=[])
    return ContactDecision(
        contact_id=contact_id,
        member=answer.member,
        changes_at=answer.changes_at,
        leaves=[_leaf(one) for one in answer.leaves],
    )


def _leaf(one: LeafAnswer) -> LeafDecision:
    leaf = one.leaf
    written: str | dict[str, Any]
    written = leaf.text if isinstance(leaf, Condition) else leaf.model_dump(mode="json", exclude_defaults=True)
    return LeafDecision(leaf=written, holds=one.holds, count=one.count, events=_ids(one.facts), why=one.why)


def _ids(facts: Sequence[Fact]) -> list[str]:
    return [fact.event_id for fact in facts]
