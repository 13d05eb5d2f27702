"""The `reconcile_message` activity: finds out the outcome of a message that is `unknown`."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity

from activities.channels.sms import SmsKind
from activities.contract import RECONCILE_MESSAGE, ReconcileCall, SendResult
from activities.providers.ports import OutgoingSms, SmsProvider
from activities.providers.provider_errors import ProviderError, Verdict
from activities.sending.message_sender import result_of
from activities.shared.matched_event import matched_event
from activities.shared.step_content import Draft
from activities.shared.temporal_errors import again_later, without_details
from store.engine.database import Database
from store.runs.enrollments import enrollments
from store.sending import send_outcomes
from store.sending.messages import messages
from store.sending.messages.messages import Message
from tracks.content.rendering.template_error import TemplateError

_CLOCKS_APART = timedelta(minutes=1)
"""How far the provider's clock may be behind ours."""


class Reconciler:
    """Asks the ledger, which the provider's callbacks settle, and for a text message then Twilio's list of messages.

    SES cannot search for a message whose answer was lost. Its events, which carry our message's id, are the only
    evidence.
    """

    def __init__(self, db: Database, sms: SmsProvider, kind: SmsKind) -> None:
        self._db = db
        self._sms = sms
        self._kind = kind

    @activity.defn(name=RECONCILE_MESSAGE)
    @without_details
    async def reconcile_message(self, call: ReconcileCall) -> SendResult:
        """Ask again; with `settle`, decide. A message that is known to be sent stays `sent`, whatever the decision.

        Raises ApplicationError if the provider cannot be asked now and its answer is needed.
        """
        async with self._db.transaction() as tx:
            message = await messages.get(tx, call.message_id)
        if message is None:
            return SendResult(outcome="failed", reason="no such message", message_id=call.message_id)
        if message.status == "unknown" and message.channel == "sms":
            message = await self._look_for(message, call.event_id, must_know=call.settle in ("", "resend"))
        if message.status == "unknown" and call.settle:
            async with self._db.transaction() as tx:
                message = await send_outcomes.resolve(tx, message.id, call.settle)
        return result_of(message)

    async def _look_for(self, message: Message, event_id: str, *, must_know: bool) -> Message:
        """Search the provider for a message with the same recipient and text that no other row of the ledger has."""
        sms = await self._as_sent(message, event_id)
        if sms is None:
            return message
        try:
            listed = await self._sms.find(sms, message.claimed_at - _CLOCKS_APART)
        except ProviderError as error:
            if error.fault.verdict is Verdict.GIVE_UP or not must_know:
                return message
            raise again_later(error.fault) from None
        # Twilio puts a sentence of its own before the texts of a trial account.
        same = [found.provider_id for found in listed if found.body.strip().endswith(sms.body.strip())]
        async with self._db.transaction() as tx:
            await enrollments.lock_run(tx, message.enrollment_id)  # two unknown messages cannot take the same one
            taken = await messages.known_provider_ids(tx, "sms", same)
            free = [provider_id for provider_id in same if provider_id not in taken]
            if not free:
                return await messages.get(tx, message.id) or message
            return await send_outcomes.settle(tx, message.id, token=message.token, outcome="sent", provider_id=free[-1])

    async def _as_sent(self, message: Message, event_id: str) -> OutgoingSms | None:
        """The message rendered again; None if that is not possible: the person is erased, or the text has changed."""
        async with self._db.transaction() as tx:
            run = await enrollments.run(tx, message.enrollment_id)
            if run is None or run.contact is None:
                return None
            try:
                written = await self._kind.read(tx, run.enrollment, message.step)
                event = await matched_event(tx, run.enrollment, event_id)
                to = self._kind.rules(written).to
                address = run.contact.phone
                if to is not None:
                    address = to.address("sms", run.contact.attributes or {}, run.enrollment.properties)
                if not address:
                    return None
                draft = Draft(message.id, run.enrollment, run.contact, event=event, address=address)
                return await self._kind.compose(tx, written, draft)
            except (TemplateError, LookupError):
                return None
