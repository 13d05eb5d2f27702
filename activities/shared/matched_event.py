"""The event that the latest wait of a run matched, as the texts of a step read it.

A run's history holds the event's id only. Its properties, which may be personal, are read when they are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from activities.contract import StepCall
from activities.shared.step_content import message_context
from store.runs.events import stored_events
from store.schema.rows import Contact, Enrollment
from tracks.content.rendering.message_context import MessageContext
from tracks.model.track import Track
from tracks.runs.event_matching import event_view


async def matched_event(tx: AsyncConnection, enrollment: Enrollment, event_id: str) -> Mapping[str, Any]:
    """The variable `event`; empty if the step reads none, or the event is gone. `at` is on the run's clock.

    An event of another contact counts as gone: the id comes from a history, which could have been changed.
    """
    if not event_id:
        return {}
    found = await stored_events.get(tx, event_id)
    if found is None or found.contact_id != enrollment.contact_id:
        return {}
    return event_view(found, enrollment.clock.at(found.occurred_at))


async def effect_context(
    tx: AsyncConnection, enrollment: Enrollment, contact: Contact, track: Track, call: StepCall
) -> MessageContext:
    """What the texts of an effect other than a message may read."""
    event = await matched_event(tx, enrollment, call.event_id)
    return message_context(enrollment, contact, zone=track.defaults.timezone, due=call.due, event=event)
