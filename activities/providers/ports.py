"""The ports for providers: what activities need from them. The adapters are in `activities/providers/`.

Every call may raise `activities.providers.provider_errors.ProviderError`, and no other exception.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol


@dataclass(frozen=True)
class OutgoingEmail:
    """One email to one contact."""

    message_id: str
    """Our id. It is sent as a tag, so that the provider's callbacks contain it."""
    sender: str
    """A mailbox, such as `Ada <ada@acme.test>`."""
    to: str
    subject: str
    html: str
    """Empty for an email of plain text only."""
    text: str
    reply_to: str | None = None
    unsubscribe_url: str = ""
    """The address for one-click unsubscribe in mail programs (RFC 8058); empty for transactional mail."""


@dataclass(frozen=True)
class SendingQuota:
    """What an email provider allows the account, and how much of it is used."""

    per_second: float
    per_day: float | None
    """In any 24 hours; None if there is no limit."""
    sent: float
    """In the last 24 hours."""
    enabled: bool
    """False while the provider accepts no messages."""
    enforcement: str = ""
    """The provider's own word for the state of the account."""


class EmailProvider(Protocol):
    """Sends email."""

    async def send(self, email: OutgoingEmail) -> str:
        """Send the email once; returns the provider's id for it."""
        ...

    async def quota(self) -> SendingQuota:
        """The account's present quota."""
        ...

    async def close(self) -> None:
        """Close connections and threads."""
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
    """A text message in the provider's records."""

    provider_id: str
    body: str


class SmsProvider(Protocol):
    """Sends text messages."""

    async def send(self, sms: OutgoingSms) -> str:
        """Send the message once; returns the provider's id for it."""
        ...

    async def find(self, sms: OutgoingSms, since: datetime) -> list[FoundSms]:
        """Messages to that recipient since then, newest first: they show whether an unknown attempt was accepted."""
        ...

    async def close(self) -> None:
        """Close connections and threads."""
        ...


@dataclass(frozen=True)
class CrmContact:
    """The person, with the data by which the CRM identifies them."""

    contact_id: str
    email: str | None
    phone: str | None


@dataclass(frozen=True)
class CrmTask:
    """A task for a salesperson."""

    title: str
    due: datetime | None = None
    owner: str | None = None
    text: str = ""
    """What the salesperson reads below the title; several lines."""


@dataclass(frozen=True)
class CrmTaskState:
    """What a task that was made before has to show."""

    progress: Literal["begun", "done", "dropped"]
    """`dropped`: it will not be done."""
    line: str
    """The line that its text has below what it had before, once."""


@dataclass(frozen=True)
class CrmChange:
    """The changes of one step for the CRM."""

    effect_key: str
    at: datetime
    """When the step asked for it; the same in every attempt."""
    stage: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    note: str | None = None
    task: CrmTask | None = None


@dataclass(frozen=True)
class CrmWritten:
    """What was written: the CRM's own ids and time, and the properties of the contact as the CRM has them."""

    contact_key: str
    at: datetime
    properties: Mapping[str, str | None] = field(default_factory=dict)
    task_key: str | None = None


@dataclass(frozen=True)
class CrmPerson:
    """A contact of the CRM with what tells who it is; `properties` are those that were asked for."""

    contact_key: str
    properties: Mapping[str, str | None]
    at: datetime
    """When the CRM's contact was last changed."""


class Crm(Protocol):
    """A customer database outside the project's own transactions."""

    async def apply(self, contact: CrmContact, change: CrmChange, *, again: bool) -> CrmWritten:
        """Write the change. With `again`, an earlier attempt may have written parts of it already."""
        ...

    async def update_task(self, task_key: str, state: CrmTaskState) -> None:
        """Let a task show this state; a repeated call changes nothing."""
        ...

    async def read(self, contact_keys: Sequence[str], properties: Sequence[str]) -> list[CrmPerson]:
        """These properties of these contacts, at most 100; contacts that there are not are left out."""
        ...

    async def close(self) -> None:
        """Close connections and threads."""
        ...


@dataclass(frozen=True)
class WebhookCall:
    """One signed call: of a `webhook` step, or of a segment that is sent on."""

    webhook_id: str
    """The same in every attempt, so that receivers recognise repeats."""
    url: str
    body: Mapping[str, Any]
    secret: str = ""
    """The receiver's own secret (`whsec_…`); without one, the caller's signs."""


class WebhookCaller(Protocol):
    """Calls webhooks."""

    async def call(self, webhook: WebhookCall) -> None:
        """Deliver the call; returns once the receiver has accepted it."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...
