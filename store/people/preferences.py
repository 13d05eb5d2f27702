"""What contacts say about being written to, with all that follows from it in one transaction.

Their consents change, an address that left a channel is suppressed (or is no longer), and their tracks hear of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from store.people import consents, contacts, suppressions
from store.people.consents import Change, Result
from store.people.permission import UNSUBSCRIBED, WHOLE_CHANNEL
from store.runs import events
from store.runs.events import Accepted, Event
from store.schema.addresses import address_hash
from store.schema.rows import Channel, Contact

CONSENTED_EVENT = "contact.consented"
UNSUBSCRIBED_EVENT = "contact.unsubscribed"


class Sent(Protocol):
    """As much of a sent message as says which address its link went to (`store.sending.messages.Message`)."""

    @property
    def channel(self) -> Channel: ...

    @property
    def address_hash(self) -> str | None: ...


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
    through: Sent | None = None,
    about: Mapping[str, Any] | None = None,
    pace: float = 1.0,
    now: datetime | None = None,
) -> Told | None:
    """Keep what a contact says; None where there is no such contact.

    Leaving a channel as a whole suppresses the address too, so that no other contact with it is written to; a yes to
    the whole channel, newer than that, ends it. A yes to a topic does neither. `through` is the message by whose link
    it was said: then the address is the one that it went to, whatever the contact has by now (`_address`). `about` are
    the message's properties, `pace` that of runs which the events begin.
    """
    person = await contacts.hold(tx, contact_id)
    if person is None:
        return None
    results = await consents.record(tx, contact_id, changes, now=now)
    happened = [_event(contact_id, result, about or {}) for result in results if result.turned]
    accepted = await events.accept_many(tx, happened, pace=pace, now=now) if happened else []
    for result in results:  # after the events: everyone locks contact, enrollment, message, and then addresses
        await _follow(tx, result, _address(person, result.now.channel, through))
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
    """Confirm a consent that is `pending`; any other stays as it is. None where there is no such contact.

    A link (`through`) that went to another address than the contact's present one proves nothing of that, and confirms
    nothing.
    """
    person = await contacts.hold(tx, contact_id)
    if person is None:
        return None
    held = await consents.current(tx, contact_id)
    pending = any((c.channel, c.topic, c.status) == (channel, topic, "pending") for c in held)
    proven = through is None or reached(person, through)
    changes = [Change(channel, topic, "confirmed", source)] if pending and proven else []
    return await tell(tx, contact_id, changes, through=through, about=about, pace=pace, now=now)


def reached(person: Contact, message: Sent) -> bool:
    """Whether a message went to the address that the contact has now, as far as anybody knows."""
    return message.address_hash in (None, _own(person, message.channel))


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


def _own(person: Contact, channel: Channel) -> str | None:
    """The hash of the contact's present address."""
    address = person.address(channel)
    return address_hash(channel, address) if address else None


def _address(person: Contact, channel: Channel, through: Sent | None) -> str | None:
    """The hash of the address that a word about a channel is for; None where it is for none.

    Whoever holds a link has the mailbox that the message went to, and may have none of the contact's present
    addresses: by an old one nobody has others written to again, or kept from being written to.
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
