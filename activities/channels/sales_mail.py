"""The email to the salesperson about a lead: the summary and the link to answer.

Every worker sends those that are due.
The ledger claims it under the handoff's effect key, as it claims a message to somebody else: so it is never sent twice,
and what protects the salesperson's address is checked (suppressions, the limit per address, breakers). It is sent only
while the handoff waits for its answer. No run waits for it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.exceptions import ApplicationError

from activities.contract import StepCall
from activities.providers.ports import EmailProvider, OutgoingEmail
from activities.sending.direct_send import DirectSend
from activities.sending.message_sender import Sender
from activities.shared.step_content import Draft, Links
from store.engine.background.background_tasks import BackgroundTask
from store.engine.database import Database
from store.engine.sql import utc_now
from store.people.handoffs import handoff as handoffs
from store.people.handoffs import mail_due
from store.people.handoffs.handoff import Handoff
from store.people.handoffs.mail_due import MailDue
from store.published import policies
from store.schema.rows import Channel, Pinned
from store.sending import send_outcomes
from store.sending.messages import messages
from tracks.model.message_rules import MessageRules
from tracks.model.recipients import KnownRecipient
from tracks.policy.sales import Notify, Salesperson
from tracks.policy.sales_texts.languages import SALES_FALLBACK, SALES_LANGUAGES
from tracks.shared.run_clock import Clock

LOOK = 2.0
"""Seconds between two searches, if the last one found nothing."""
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(minutes=15)
"""The wait after the provider could not be reached, which doubles each time, and the longest."""
UNKNOWN_FOR = timedelta(minutes=10)
"""How long the provider's own events may tell what became of an email whose outcome nobody knows. Then it counts as
sent."""

log = structlog.get_logger(__name__)


@dataclass
class SalesMail:
    """The email about one handoff (`activities.sending.message_sender.MessageKind`)."""

    provider: EmailProvider
    links: Links
    handoff: Handoff
    person: Salesperson
    notify: Notify
    channel: Channel = "email"

    async def read(self, tx: AsyncConnection, pinned: Pinned, step: str) -> str:
        """The text. Raises LookupError if the handoff has its answer, or the contact was erased."""
        now = await handoffs.get(tx, self.handoff.id)
        if now is None or now.status != "waiting":
            raise LookupError("nobody is asked any more")
        words = SALES_LANGUAGES.get((self.person.language or "").split("-")[0], SALES_FALLBACK)
        until = words.until.format(time=f"{now.due_at:%Y-%m-%d %H:%M} UTC")
        return f"{now.reason}\n\n{until}\n{words.link} {self.links.handoff(now.id)}\n\n{now.summary}\n"

    def rules(self, written: str) -> MessageRules:
        """See `MessageKind`."""
        to = KnownRecipient(f"salesperson {self.person.id}", self.person.email or "")
        return MessageRules(transactional=True, to=to)

    async def compose(self, tx: AsyncConnection, written: str, draft: Draft) -> OutgoingEmail:
        """See `MessageKind`."""
        words = SALES_LANGUAGES.get((self.person.language or "").split("-")[0], SALES_FALLBACK)
        return OutgoingEmail(
            message_id=draft.message_id,
            sender=self.notify.from_,
            to=draft.address,
            subject=words.subject.format(reason=self.handoff.reason or self.handoff.step),
            html="",
            text=written,
            reply_to=self.notify.reply_to,
        )

    async def deliver(self, outgoing: OutgoingEmail) -> str:
        """See `MessageKind`."""
        return await self.provider.send(outgoing)


class SalesMails(BackgroundTask):
    """Sends the emails that are due."""

    def __init__(self, db: Database, provider: EmailProvider, links: Links, direct: DirectSend) -> None:
        self._db, self._provider, self._links, self._direct = db, provider, links, direct

    async def _run(self) -> None:
        while True:
            try:
                busy = await self.send()
            except Exception as error:  # the database failed: the lease ends, and it is tried again
                log.warning("salespeople get no emails", error=type(error).__name__)
                busy = False
            await asyncio.sleep(0 if busy else LOOK)

    async def send(self, now: datetime | None = None) -> bool:
        """Send the next emails. False if there were none."""
        async with self._db.transaction() as tx:
            taken = await mail_due.claim(tx, now or utc_now())
            sales = (await policies.current(tx)).policy.sales
        for one in taken:
            person = sales.person(one.handoff.team, one.handoff.salesperson)
            again_at: datetime | None = None
            if sales.notify is not None and person is not None and person.email is not None:
                mail = SalesMail(self._provider, self._links, one.handoff, person, sales.notify)
                again_at = await self._again_at(one, mail, now or utc_now())
            async with self._db.transaction() as tx:
                await mail_due.put_off(tx, one.handoff.id, again_at)
        return bool(taken)

    async def _again_at(self, due: MailDue, mail: SalesMail, now: datetime) -> datetime | None:
        """Send the email; answers when to try again, None: never."""
        if due.handoff.status != "waiting":
            return await self._given_up(due.handoff, now)
        try:
            result = await self._direct.send(Sender(self._db, mail).send(_call(due.handoff)))
        except ApplicationError as error:  # it was certainly not sent
            wait: timedelta = min(FIRST_WAIT * (1 << min(due.attempts - 1, 16)), LONGEST_WAIT)
            return now + max(error.next_retry_delay or wait, wait)
        if result.outcome == "deferred":
            return max(result.until or now, now + FIRST_WAIT)
        return await self._settled(result.message_id, due.handoff, now) if result.outcome == "unknown" else None

    async def _settled(self, message_id: str, made: Handoff, now: datetime) -> datetime | None:
        """Wait for the provider's word on an email whose outcome nobody knows. Then it counts as sent."""
        if now < made.at + UNKNOWN_FOR:
            return now + UNKNOWN_FOR
        async with self._db.transaction() as tx:
            await send_outcomes.resolve(tx, message_id, "assume_sent")
        return None

    async def _given_up(self, made: Handoff, now: datetime) -> datetime | None:
        """The handoff has its answer, so nothing is sent. An attempt that broke off before is settled all the same."""
        async with self._db.transaction() as tx:
            message = await messages.of_effect(tx, made.effect_key)
            if message is not None and message.status == "sending":  # by a worker whose lease is over
                message = await send_outcomes.settle(tx, message.id, token=message.token, outcome="unknown")
        if message is None or message.status != "unknown":
            return None
        return await self._settled(message.id, made, now)


def _call(made: Handoff) -> StepCall:
    """The call as if the step sent it. Its effect key is the handoff's."""
    enrollment_id, _, rest = made.effect_key.partition("/")
    step, _, occurrence = rest.rpartition("/")
    return StepCall(
        enrollment_id=enrollment_id, step=step, occurrence=int(occurrence), clock=Clock(origin=made.at), channel="email"
    )
