"""The `send_email` activity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.contract import SEND_EMAIL, SEND_EMAIL_NOW, SendResult, StepCall
from activities.providers.ports import EmailProvider, OutgoingEmail
from activities.sending.direct_send import DirectSend
from activities.sending.message_sender import Sender
from activities.sending.message_tracking import track_email
from activities.sending.sent_content import keep_content
from activities.sending.step_message import find_message
from activities.shared.step_content import (
    Draft,
    Links,
    find_template,
    message_context,
    with_steps,
    with_template,
)
from activities.shared.temporal_errors import without_details
from store.engine.database import Database
from store.schema.rows import Channel, Pinned
from tracks.content.brand import NO_BRAND, Brand
from tracks.content.rendering.render import render_email
from tracks.content.rendering.template_error import TemplateError
from tracks.model.message_rules import MessageRules, rules_of
from tracks.model.steps.effects import Email, EmailTracking


@dataclass(frozen=True)
class WrittenEmail:
    """An email as the track defines it, with the track's defaults filled in."""

    email: Email
    sender: str | None
    reply_to: str | None
    rules: MessageRules
    tracking: EmailTracking

    def tracks(self, what: Literal["opens", "clicks"]) -> bool:
        """Whether its opens or clicks are tracked."""
        return self.email.tracks(what, self.tracking)


class EmailKind:
    """The parts of sending that differ for email (`activities.sending.message_sender.MessageKind`)."""

    channel: Channel = "email"

    def __init__(self, provider: EmailProvider, links: Links, brand: Brand = NO_BRAND) -> None:
        self._provider = provider
        self._links = links
        self._brand = brand

    async def read(self, tx: AsyncConnection, pinned: Pinned, step: str) -> WrittenEmail:
        """See `MessageKind`."""
        track, email = await find_message(tx, pinned, step, Email)
        defaults = track.defaults.email
        sender, reply_to = email.from_ or defaults.from_, email.reply_to or defaults.reply_to
        return WrittenEmail(email, sender, reply_to, with_template(rules_of(track, email), email), defaults.track)

    def rules(self, written: WrittenEmail) -> MessageRules:
        """See `MessageKind`."""
        return written.rules

    async def compose(self, tx: AsyncConnection, written: WrittenEmail, draft: Draft) -> OutgoingEmail:
        """See `MessageKind`."""
        email = written.email
        if not written.sender:
            raise TemplateError("NoSender")
        found = await find_template(tx, email.template, email.version or draft.newest, "email")
        links = self._links.in_texts(draft.message_id)
        context = message_context(
            draft.enrollment,
            draft.contact,
            email.variables,
            links,
            written.rules.timezone,
            draft.due,
            self._brand,
            draft.event,
        )
        rendered = render_email(found.template, await with_steps(tx, found.template, context), subject=email.subject)
        rendered = await track_email(
            tx, rendered, draft, self._links, clicks=written.tracks("clicks"), opens=written.tracks("opens")
        )
        subject, html, text = rendered.subject, rendered.html, rendered.text
        await keep_content(tx, draft, found, rendered.choices, subject=subject, html=html, text=text)
        return OutgoingEmail(
            message_id=draft.message_id,
            sender=written.sender,
            to=draft.address,
            subject=subject,
            html=html,
            text=text,
            reply_to=written.reply_to,
            unsubscribe_url="" if email.transactional else context.unsubscribe_url,
        )

    async def deliver(self, outgoing: OutgoingEmail) -> str:
        """See `MessageKind`."""
        return await self._provider.send(outgoing)


class EmailActivities:
    """The activities of `email` steps."""

    def __init__(self, db: Database, kind: EmailKind, direct: DirectSend) -> None:
        self._sender = Sender(db, kind)
        self._direct = direct

    @activity.defn(name=SEND_EMAIL)
    @without_details
    async def send_email(self, call: StepCall) -> SendResult:
        """Send one email to one contact, at most once."""
        return await self._direct.send(self._sender.send(call))

    @activity.defn(name=SEND_EMAIL_NOW)
    @without_details
    async def send_email_now(self, call: StepCall) -> SendResult:
        """The same, as a local activity of the run's own worker, for a message that need not wait in the queue."""
        return await self._direct.now(lambda: self._sender.send(call))
