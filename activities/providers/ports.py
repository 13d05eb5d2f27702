"""What the activities ask of providers. Adapters live in `activities/providers/`.

Every call may raise `activities.providers.provider_errors.ProviderError`, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True)
class OutgoingEmail:
    """One email to one contact."""

    message_id: str
    """Our id: travels as a tag, so that the provider's callbacks name it."""
    sender: str
    """A mailbox, such as `Ada <ada@acme.test>`."""
    to: str
    subject: str
    html: str
    """Empty for an email of text alone."""
    text: str
    reply_to: str | None = None
    unsubscribe_url: str = ""
    """Where mail programs unsubscribe by one click (RFC 8058); empty for transactional mail."""


@dataclass(frozen=True)
class SendingQuota:
    """What an email provider allows the account, and how much of it is used."""

    per_second: float
    per_day: float | None
    """In any 24 hours; None where it is not limited."""
    sent: float
    """In the last 24 hours."""
    enabled: bool
    """False while the provider takes nothing."""
    enforcement: str = ""
    """The provider's word for how the account stands."""


class EmailProvider(Protocol):
    """Sends email."""

    async def send(self, email: OutgoingEmail) -> str:
        """Hand the email over, once; answers the provider's id of it."""
        ...

    async def quota(self) -> SendingQuota:
        """What the account may send."""
        ...

    async def close(self) -> None:
        """Let go of connections and threads."""
        ...


@dataclass(frozen=True)
class OutgoingSms:
    """One text message to one contact."""

    message_id: str
    sender: str | None
    """A number or sender id; None leaves the choice to the provider's messaging service."""
    to: str
    body: str


@dataclass(frozen=True)
class FoundSms:
    """A text message that the provider knows of."""

    provider_id: str
    body: str


class SmsProvider(Protocol):
    """Sends text messages."""

    async def send(self, sms: OutgoingSms) -> str:
        """Hand the message over, once; answers the provider's id of it."""
        ...

    async def find(self, sms: OutgoingSms, since: datetime) -> list[FoundSms]:
        """Messages to that recipient since then, newest first: was an attempt of unknown outcome accepted?"""
        ...

    async def close(self) -> None:
        """Let go of connections and threads."""
        ...


@dataclass(frozen=True)
class CrmContact:
    """The person as the CRM knows them."""

    contact_id: str
    email: str | None
    phone: str | None


@dataclass(frozen=True)
class CrmTask:
    """Something for a salesperson to do."""

    title: str
    due: datetime | None = None
    owner: str | None = None


@dataclass(frozen=True)
class CrmChange:
    """What one step writes to the CRM."""

    effect_key: str
    at: datetime
    """When the step asked for it: the same in every attempt."""
    stage: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    note: str | None = None
    task: CrmTask | None = None


class Crm(Protocol):
    """A customer database outside the project's own transactions."""

    async def apply(self, contact: CrmContact, change: CrmChange, *, again: bool) -> None:
        """Write the change; with `again` an earlier attempt may have written parts of it already."""
        ...

    async def close(self) -> None:
        """Let go of connections and threads."""
        ...


@dataclass(frozen=True)
class WebhookCall:
    """One signed call of a `webhook` step."""

    webhook_id: str
    """The same in every attempt: receivers tell repeats by it."""
    url: str
    body: Mapping[str, Any]


class WebhookCaller(Protocol):
    """Calls webhooks."""

    async def call(self, webhook: WebhookCall) -> None:
        """Deliver the call; returns once the receiver has accepted it."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
