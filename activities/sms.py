"""The `send_sms` activity."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.choosing import find_message
from activities.content import Draft, Links, find_template, log_choices, message_context, with_steps, with_template
from activities.contract import SEND_SMS, SEND_SMS_NOW, SendResult, StepCall
from activities.errors import without_details
from activities.lanes import Lane
from activities.ports import OutgoingSms, SmsProvider
from activities.sending import Sender
from activities.tracked import track_sms
from store.database import Database
from store.rows import Channel, Pinned
from tracks.content.render import TemplateError, render_sms, write_sms
from tracks.effects import Sms
from tracks.message_rules import MessageRules, rules_of


@dataclass(frozen=True)
class WrittenSms:
    """A text message as the track says it, with the track's defaults filled in."""

    sms: Sms
    sender: str | None
    rules: MessageRules
    tracked: bool


class SmsKind:
    """What makes a message a text message (`activities.sending.MessageKind`)."""

    channel: Channel = "sms"

    def __init__(self, provider: SmsProvider, links: Links) -> None:
        self._provider = provider
        self._links = links

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
            draft.enrollment, draft.contact, sms.variables, links, written.rules.timezone, draft.due
        )
        if sms.text is not None:
            body = render_sms(sms.text, context)
        elif sms.template is not None:
            template = await find_template(tx, sms.template, sms.version or draft.newest, "sms")
            rendered = write_sms(template, await with_steps(tx, template, context))
            log_choices(draft.message_id, rendered.choices)
            body = rendered.text
        else:
            raise TemplateError("NotFound")
        if written.tracked:
            body = await track_sms(tx, body, draft, self._links)
        return OutgoingSms(message_id=draft.message_id, sender=written.sender, to=draft.contact.phone or "", body=body)

    async def deliver(self, outgoing: OutgoingSms) -> str:
        """See `MessageKind`."""
        return await self._provider.send(outgoing)


class SmsActivities:
    """Sends the text of `sms` steps."""

    def __init__(self, db: Database, kind: SmsKind, lane: Lane) -> None:
        self._sender = Sender(db, kind)
        self._lane = lane

    @activity.defn(name=SEND_SMS)
    @without_details
    async def send_sms(self, call: StepCall) -> SendResult:
        """Send one text message to one contact, at most once."""
        return await self._lane.send(self._sender.send(call))

    @activity.defn(name=SEND_SMS_NOW)
    @without_details
    async def send_sms_now(self, call: StepCall) -> SendResult:
        """The same, as a local activity of the run's own worker, where the message need not stand in the queue."""
        return await self._lane.now(lambda: self._sender.send(call))
