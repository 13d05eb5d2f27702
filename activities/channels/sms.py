"""The `send_sms` activity."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.contract import SEND_SMS, SEND_SMS_NOW, SendResult, StepCall
from activities.providers.ports import OutgoingSms, SmsProvider
from activities.sending.direct_send import DirectSend
from activities.sending.message_sender import Sender
from activities.sending.message_tracking import track_sms
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
from tracks.content.rendering.render import render_sms, write_sms
from tracks.content.rendering.rendered_messages import Choices
from tracks.content.rendering.template_error import TemplateError
from tracks.model.message_rules import MessageRules, rules_of
from tracks.model.steps.effects import Sms


@dataclass(frozen=True)
class WrittenSms:
    """A text message as the track defines it, with the track's defaults filled in."""

    sms: Sms
    sender: str | None
    rules: MessageRules
    tracked: bool


class SmsKind:
    """The parts of sending that differ for text messages (`activities.sending.message_sender.MessageKind`)."""

    channel: Channel = "sms"

    def __init__(self, provider: SmsProvider, links: Links, brand: Brand = NO_BRAND) -> None:
        self._provider = provider
        self._links = links
        self._brand = brand

    async def read(self, tx: AsyncConnection, pinned: Pinned, step: str) -> WrittenSms:
        """See `MessageKind`."""
        track, sms = await find_message(tx, pinned, step, Sms)
        defaults = track.defaults.sms
        sender = sms.from_ or defaults.from_
        return WrittenSms(sms, sender, with_template(rules_of(track, sms), sms), sms.tracks(defaults.track))

    def rules(self, written: WrittenSms) -> MessageRules:
        """See `MessageKind`."""
        return written.rules

    async def compose(self, tx: AsyncConnection, written: WrittenSms, draft: Draft) -> OutgoingSms:
        """See `MessageKind`."""
        sms = written.sms
        links = self._links.in_texts(draft.message_id)
        context = message_context(
            draft.enrollment,
            draft.contact,
            sms.variables,
            links,
            written.rules.timezone,
            draft.due,
            self._brand,
            draft.event,
        )
        found, choices = None, Choices()
        if sms.text is not None:
            body = render_sms(sms.text, context)
        elif sms.template is not None:
            found = await find_template(tx, sms.template, sms.version or draft.newest, "sms")
            rendered = write_sms(found.template, await with_steps(tx, found.template, context))
            body, choices = rendered.text, rendered.choices
        else:
            raise TemplateError("NotFound")
        if written.tracked:
            body = await track_sms(tx, body, draft, self._links)
        await keep_content(tx, draft, found, choices, text=body)
        return OutgoingSms(message_id=draft.message_id, sender=written.sender, to=draft.address, body=body)

    async def deliver(self, outgoing: OutgoingSms) -> str:
        """See `MessageKind`."""
        return await self._provider.send(outgoing)


class SmsActivities:
    """The activities of `sms` steps."""

    def __init__(self, db: Database, kind: SmsKind, direct: DirectSend) -> None:
        self._sender = Sender(db, kind)
        self._direct = direct

    @activity.defn(name=SEND_SMS)
    @without_details
    async def send_sms(self, call: StepCall) -> SendResult:
        """Send one text message to one contact, at most once."""
        return await self._direct.send(self._sender.send(call))

    @activity.defn(name=SEND_SMS_NOW)
    @without_details
    async def send_sms_now(self, call: StepCall) -> SendResult:
        """The same, as a local activity of the run's own worker, for a message that need not wait in the queue."""
        return await self._direct.now(lambda: self._sender.send(call))
