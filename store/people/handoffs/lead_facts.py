"""What a salesperson is told of a lead: the latest events and messages, and the scores at that moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.audience.scores import at_a_moment
from store.engine.sql import any_of
from store.schema.rows import Contact
from tracks.model.score_changes import GRADED
from tracks.model.segment_changes import ENTERED, LEFT
from tracks.runs.handoff_answers import EVENTS
from tracks.static_analysis.built_in_events import MADE_BY_SENDING

EVENTS_AT_MOST = 10
MESSAGES_AT_MOST = 5
_NO_NEWS = sorted({name for names in MADE_BY_SENDING.values() for name in names} | {ENTERED, LEFT, GRADED, *EVENTS})
"""Events that say nothing of what the contact did."""


@dataclass(frozen=True, slots=True)
class Did:
    """Something that the contact did."""

    name: str
    occurred_at: datetime
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Got:
    """A message that the contact got."""

    channel: str
    track: str
    step: str
    claimed_at: datetime
    delivery: str | None


@dataclass(frozen=True, slots=True)
class LeadFacts:
    """The newest first."""

    events: tuple[Did, ...]
    messages: tuple[Got, ...]
    scores: Mapping[str, Any] | None


async def read(tx: AsyncConnection, contact: Contact, now: datetime) -> LeadFacts:
    """What is known of the contact now."""
    asked = {"contact": contact.id, "dull": _NO_NEWS, "events": EVENTS_AT_MOST, "messages": MESSAGES_AT_MOST}
    did = await tx.execute(_EVENTS, asked)
    got = await tx.execute(_MESSAGES, asked)
    return LeadFacts(
        tuple(Did(row.name, row.occurred_at, row.properties) for row in did),
        tuple(Got(row.channel, row.track, row.step, row.claimed_at, row.delivery) for row in got),
        await scores_of(tx, contact, now),
    )


async def scores_of(tx: AsyncConnection, contact: Contact, now: datetime) -> Mapping[str, Any] | None:
    """The contact's scores at that moment, as they are kept with a handoff; None if no score is published.

    By the score's name: its `version`, `value`, `grade`, and `points` by the id of the rule. No other facts.
    """
    scores = await at_a_moment.all_of(tx, contact, now)
    return {name: score.to_data() for name, score in scores.items()} or None


_EVENTS = text(f"""
    SELECT name, occurred_at, properties FROM event
    WHERE contact_id = :contact AND NOT name = {any_of("dull")} ORDER BY occurred_at DESC LIMIT :events
""")
_MESSAGES = text("""
    SELECT channel, track, step, claimed_at, delivery FROM message
    WHERE contact_id = :contact AND status = 'sent' AND recipient = '' ORDER BY id DESC LIMIT :messages
""")
