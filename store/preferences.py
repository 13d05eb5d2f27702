"""What contacts say about being written to, with all that follows from it in one transaction.

Their consents change, an address that left a channel is suppressed (or is no longer), and their tracks hear of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from store import consents, contacts, events, suppressions
from store.consents import Change, Result
from store.events import Accepted, Event
from store.permission import UNSUBSCRIBED, WHOLE_CHANNEL
from store.rows import Channel, Contact

CONSENTED_EVENT = "contact.consented"
UNSUBSCRIBED_EVENT = "contact.unsubscribed"


@dataclass(frozen=True, slots=True)
class Told:
    """What became of it: the contact, what holds for each topic that was named, and what the tracks were told."""

    contact: Contact
    results: list[Result]
    accepted: list[Accepted]


async def tell(
    tx: AsyncConnection,
    contact_id: str,
    changes: Iterable[Change],
    *,
    about: Mapping[str, Any] | None = None,
    pace: float = 1.0,
    now: datetime | None = None,
) -> Told | None:
    """Keep what a contact says; None where there is no such contact.

    Leaving a channel as a whole suppresses the address too, so that no other contact with it is written to; a yes to
    the whole channel, newer than that, ends it. A yes to a topic does neither. `about` are the properties of the
    message through which it was said, `pace` that of runs which the events begin.
    """
    person = await contacts.hold(tx, contact_id)
    if person is None:
        return None
    results = await consents.record(tx, contact_id, changes, now=now)
    happened = [_event(contact_id, result, about or {}) for result in results if result.turned]
    accepted = await events.accept_many(tx, happened, pace=pace, now=now) if happened else []
    for result in results:  # after the events: everyone locks contact, enrollment, message, and then addresses
        await _follow(tx, person, result)
    return Told(person, results, accepted)


async def confirm(
    tx: AsyncConnection,
    contact_id: str,
    channel: Channel,
    topic: str,
    source: str,
    *,
    about: Mapping[str, Any] | None = None,
    pace: float = 1.0,
    now: datetime | None = None,
) -> Told | None:
    """Confirm a consent that is `pending`; any other stays as it is. None where there is no such contact."""
    if await contacts.hold(tx, contact_id) is None:
        return None
    held = await consents.current(tx, contact_id)
    pending = any((c.channel, c.topic, c.status) == (channel, topic, "pending") for c in held)
    changes = [Change(channel, topic, "confirmed", source)] if pending else []
    return await tell(tx, contact_id, changes, about=about, pace=pace, now=now)


def _event(contact_id: str, result: Result, about: Mapping[str, Any]) -> Event:
    consent = result.now
    properties: dict[str, Any] = {**about, "channel": consent.channel}
    if consent.topic != WHOLE_CHANNEL:
        properties["topic"] = consent.topic
    if consent.status == "withdrawn":
        name, properties["reason"] = UNSUBSCRIBED_EVENT, UNSUBSCRIBED
    else:
        name, properties["status"] = CONSENTED_EVENT, consent.status
    # a change that turns the status is a new one, or one that was kept under another policy
    identity = f"consent:{contact_id}:{consent.channel}:{consent.topic}:{result.change_id or consent.at.isoformat()}"
    return Event(identity, contact_id, name, properties, consent.confirmed_at or consent.at)


async def _follow(tx: AsyncConnection, person: Contact, result: Result) -> None:
    consent = result.now
    address = person.address(consent.channel)
    if not address or consent.topic != WHOLE_CHANNEL:
        return
    if consent.status == "withdrawn":
        await suppressions.add(tx, consent.channel, address, "unsubscribed", consent.at)
    elif consent.status == "granted":
        await suppressions.end_by_consent(tx, consent.channel, address, consent.at)
