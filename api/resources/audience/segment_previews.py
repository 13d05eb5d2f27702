"""Who would be a member of a segment, before it is published."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import sqrt
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.http.auth import KeyedRoute
from api.http.context import Context, Ctx
from api.http.fields import Identifier
from api.http.problems import FieldProblem, documented, not_found, not_published
from api.resources.audience.decisions import ContactDecision, decide, judged
from api.resources.publishing.checks.segment_references import problems_of
from audience.facts import Facts
from audience.segments.document import read_segment
from audience.segments.evaluation import Answer
from audience.segments.members import Members
from audience.segments.probes import probes
from store.audience.facts import facts_of, sample
from store.audience.standings import with_standings
from store.people import contacts
from store.published import policies, segments
from store.schema.rows import Contact

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
    entering: int | None = Field(
        description="How many of those evaluated are members, but none by the live version; null if there is none."
    )
    leaving: int | None = Field(
        description="How many of those evaluated are members by the live version, but not by this one; null likewise."
    )
    contact: ContactDecision | None = Field(None, description="The decision about `contact_id`.")


@router.post("/preview", summary="Preview a segment", responses=documented(404))
async def preview_segment(body: SegmentPreviewRequest, ctx: Ctx) -> SegmentPreview:
    """Checks the segment and evaluates it now, for a sample of the contacts and for one contact in particular."""
    reading = await asyncio.to_thread(read_segment, body.source, "segment")
    if reading.segment is None:
        raise not_published("segment", [FieldProblem(detail=p.message, line=p.line or None) for p in reading.problems])
    name, members, now = reading.segment.segment, reading.segment.members, datetime.now(UTC)
    async with ctx.db.transaction() as tx:
        one = await contacts.get(tx, body.contact_id) if body.contact_id is not None else None
        if one is None and body.contact_id is not None:
            raise not_found(f"contact {body.contact_id}")
        policy = (await policies.current(tx)).policy
        missing = await problems_of(tx, {name: reading}, topics=policy.topics)
        if missing[name]:
            raise not_published("segment", [FieldProblem(detail=p.message, line=p.line) for p in missing[name]])
        decision = await decide(tx, members, one, now) if one else None
        drawn = await sample(tx, SAMPLE)
    answers = await _answers(ctx, members, drawn.contacts, now)
    before = await _answers_of_live(ctx, name, drawn.contacts, now)
    found = [person.id for person in drawn.contacts if _member(answers, person.id)]
    judged_count = sum(answer is not None for answer in answers.values())
    exact = (len(found), len(found))
    return SegmentPreview(
        segment=name,
        contacts=drawn.total,
        evaluated=len(answers),
        members=len(found),
        not_judged=len(answers) - judged_count,
        estimate=exact if drawn.complete else _estimate(len(found), judged_count, drawn.total),
        sample=found[:: max(1, len(found) // SHOWN)][:SHOWN],
        entering=None if before is None else sum(not _member(before, contact_id) for contact_id in found),
        leaving=None if before is None else sum(_member(before, one) and not _member(answers, one) for one in answers),
        contact=decision,
    )


async def _answers_of_live(
    ctx: Context, name: str, people: Sequence[Contact], now: datetime
) -> Mapping[str, Answer | None] | None:
    async with ctx.db.transaction() as tx:
        summary = await segments.get(tx, name)
        if summary is None or summary.live is None:
            return None
        live = await segments.definition(tx, name, summary.live)
    return await _answers(ctx, live.members, people, now)


async def _answers(
    ctx: Context, members: Members, people: Sequence[Contact], now: datetime
) -> Mapping[str, Answer | None]:
    answers: dict[str, Answer | None] = {}
    asked = probes([members])
    for start in range(0, len(people), AT_ONCE):
        async with ctx.db.transaction() as tx:
            some = people[start : start + AT_ONCE]
            facts = await facts_of(tx, [(person, asked) for person in some], now)
            facts = await with_standings(tx, some, [members], facts)
        answers |= await asyncio.to_thread(_evaluate, members, facts, now)
    return answers


def _evaluate(members: Members, facts: Mapping[str, Facts | None], now: datetime) -> dict[str, Answer | None]:
    return {contact_id: judged(members, known, now) for contact_id, known in facts.items()}


def _member(answers: Mapping[str, Answer | None], contact_id: str) -> bool:
    answer = answers.get(contact_id)
    return answer is not None and answer.member


def _estimate(members: int, judged_count: int, total: int) -> tuple[int, int]:
    """Wilson's score interval of a share (E. B. Wilson, JASA 22, 1927), as numbers of all contacts."""
    if judged_count == 0:
        return 0, total
    share = members / judged_count
    middle = share + Z * Z / (2 * judged_count)
    spread = Z * sqrt(share * (1 - share) / judged_count + Z * Z / (4 * judged_count * judged_count))
    scale = 1 + Z * Z / judged_count
    low, high = (middle - spread) / scale, (middle + spread) / scale
    return max(members, round(low * total)), min(total, round(high * total))
