"""Record what contacts choose about messages, and all consequences, in one transaction.

The consents change, an address is suppressed or its suppression ends, and the contact's tracks receive events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from store.people import contacts
from store.people.consents import consents, reachability, suppressions
from store.people.consents.consents import Change, Result
from store.people.consents.permission import UNSUBSCRIBED, WHOLE_CHANNEL
from store.runs.events import events
from store.runs.events.events import Accepted, Event
from store.schema.addresses import address_hash
from store.schema.rows import Channel, Contact

CONSENTED_EVENT = "contact.consented"
UNSUBSCRIBED_EVENT = "contact.unsubscribed"


class Sent(Protocol):
    """The part of a sent message (`store.sending.messages.messages.Message`) that tells to which address its link was
    sent."""

    @property
    def channel(self) -> Channel: ...

    @property
    def address_hash(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Told:
    """The result: the contact, the current consent for each named topic, and the accepted events."""

    contact: Contact
    results: list[Result]
    accepted: list[Accepted]


async def tell(
    tx: AsyncConnection,
    contact_id: str,
    changes: Iterable[Change],
    *,
    through: Sent | None = None,
    about: Mapping[str, Any] | None = None,
    pace: float = 1.0,
    now: datetime | None = None,
) -> Told | None:
    """Record a contact's choices; None if there is no such contact.

    A withdrawal from a whole channel also suppresses the address, so that no other contact with this address is sent
    anything. A later consent to the whole channel ends the suppression. A consent to a topic does neither. `through` is
    the message whose link was used: the choice is then about the address of that message, whatever address the contact
    has now (`_address`). `about` are the properties of the events; `pace` is that of runs which the events begin.
    """
    through_hash = None if through is None else through.address_hash
    concerned = await reachability.hold(tx, hashes=[through_hash] if through_hash else [], contact_ids=[contact_id])
    person = await contacts.hold(tx, contact_id)
    if person is None:
        return None
    contact_id = person.id  # another one, if the named contact was merged
    results = await consents.record(tx, contact_id, changes, now=now)
    happened = [_event(contact_id, result, about or {}) for result in results if result.turned]
    accepted = await events.accept_many(tx, happened, pace=pace, now=now) if happened else []
    for result in results:  # after the events: all code locks contact, enrollment, message and address in this order
        await _follow(tx, result, _address(person, result.now.channel, through))
    await reachability.tell(tx, concerned, now=now, pace=pace)
    return Told(person, results, accepted)


async def confirm(
    tx: AsyncConnection,
    contact_id: str,
    channel: Channel,
    topic: str,
    source: str,
    *,
    through: Sent | None = None,
    about: Mapping[str, Any] | None = None,
    pace: float = 1.0,
    now: datetime | None = None,
) -> Told | None:
    """Confirm a consent that is `pending`; any other stays unchanged. None if there is no such contact.

    A link (`through`) that was sent to another address than the contact's present one proves nothing about the present
    one, and confirms nothing.
    """
    person = await contacts.hold(tx, contact_id)
    if person is None:
        return None
    held = await consents.current(tx, person.id)
    pending = any((c.channel, c.topic, c.status) == (channel, topic, "pending") for c in held)
    proven = through is None or reached(person, through)
    changes = [Change(channel, topic, "confirmed", source)] if pending and proven else []
    return await tell(tx, person.id, changes, through=through, about=about, pace=pace, now=now)


def reached(person: Contact, message: Sent) -> bool:
    """Whether a message was sent to the contact's present address, as far as is known."""
    return message.address_hash in (None, _own(person, message.channel))


def _event(contact_id: str, result: Result, about: Mapping[str, Any]) -> Event:
    consent = result.now
    # Of the message, its topic is left out: the event's topic is what the choice is about, none is the whole channel.
    properties = {name: value for name, value in about.items() if name != "topic"}
    properties["channel"] = consent.channel
    if consent.topic != WHOLE_CHANNEL:
        properties["topic"] = consent.topic
    if consent.status == "withdrawn":
        name, properties["reason"] = UNSUBSCRIBED_EVENT, UNSUBSCRIBED
    else:
        name, properties["status"] = CONSENTED_EVENT, consent.status
    # a change that changes the status is a new one, or one that was stored under another policy
    identity = f"consent:{contact_id}:{consent.channel}:{consent.topic}:{result.change_id or consent.at.isoformat()}"
    return Event(identity, contact_id, name, properties, consent.confirmed_at or consent.at)


def _own(person: Contact, channel: Channel) -> str | None:
    """The hash of the contact's present address."""
    address = person.address(channel)
    return address_hash(channel, address) if address else None


def _address(person: Contact, channel: Channel, through: Sent | None) -> str | None:
    """The hash of the address that a choice about a channel is for; None if it is for none.

    Whoever holds a link has the mailbox of that message, but may not have the contact's present addresses. So a link to
    an old address neither suppresses other addresses nor ends their suppression.
    """
    if through is not None and channel == through.channel and through.address_hash is not None:
        return through.address_hash
    if through is not None and not reached(person, through):
        return None
    return _own(person, channel)


async def _follow(tx: AsyncConnection, result: Result, hashed: str | None) -> None:
    consent = result.now
    if hashed is None or consent.topic != WHOLE_CHANNEL:
        return
    if consent.status == "withdrawn":
        await suppressions.add_hashed(tx, [(consent.channel, hashed)], "unsubscribed", consent.at)
    elif consent.status == "granted":
        await suppressions.end_by_consent(tx, consent.channel, hashed, consent.at)
