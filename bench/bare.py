"""The bare hand-written workflow of the same shape: what Temporal itself costs, with nothing of ours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError

QUEUE = "bare"
QUEUE_EMAIL = "bare-email"


@dataclass
class BareInput:
    """As little as a hand-written track needs: whom to write to, and how long to wait (seconds)."""

    contact_id: str
    delay: float
    patience: float


@dataclass
class BareMail:
    """Which mail to whom."""

    contact_id: str
    template: str


@activity.defn
async def send_bare_mail(mail: BareMail) -> str:
    """Answer a message id, as a provider would."""
    if not mail.contact_id:
        raise ApplicationError("nobody to write to", non_retryable=True)
    return f"message-{mail.template}-{mail.contact_id}"


@workflow.defn
class BareTrack:
    """Email, delay, wait for a click with a timeout, branch, email."""

    def __init__(self) -> None:
        self._clicked = False

    @workflow.signal
    def clicked(self) -> None:
        """The contact clicked."""
        self._clicked = True

    @workflow.run
    async def run(self, given: BareInput) -> str:
        """Nurture one contact, by hand."""
        await self._mail(given, "hello")
        await workflow.sleep(given.delay)
        try:
            await workflow.wait_condition(lambda: self._clicked, timeout=given.patience)
        except TimeoutError:
            await self._mail(given, "reminder")
            return "silent"
        await self._mail(given, "thanks")
        return "clicked"

    async def _mail(self, given: BareInput, template: str) -> None:
        await workflow.execute_activity(
            send_bare_mail,
            BareMail(given.contact_id, template),
            task_queue=QUEUE_EMAIL,
            start_to_close_timeout=timedelta(seconds=45),
        )
