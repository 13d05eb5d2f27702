"""The bare hand-written workflow of the same shape: it shows the cost of Temporal itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    from typing import Any

QUEUE = "bare"
QUEUE_EMAIL = "bare-email"
FROM = "Ada <ada@acme.test>"


@dataclass
class BareInput:
    """What a hand-written track needs: the contact, and how long to wait (seconds)."""

    contact_id: str
    delay: float
    patience: float


@dataclass
class SleeperInput:
    """The contact, and when to send (epoch)."""

    contact_id: str
    moment: float


@dataclass
class BareMail:
    """Which email to send to whom."""

    contact_id: str
    template: str


class BareMails:
    """Sends through Amazon's SES client without ledger and checks."""

    def __init__(self, ses: Any) -> None:
        self._ses = ses

    @activity.defn
    def send_bare_mail(self, mail: BareMail) -> str:
        """Send the email. Returns the provider's message id."""
        sent = self._ses.send_email(
            FromEmailAddress=FROM,
            Destination={"ToAddresses": [address_of(mail.contact_id)]},
            Content={
                "Simple": {
                    "Subject": {"Data": f"Hello ({mail.template})"},
                    "Body": {"Html": {"Data": "<p>Hello there.</p>"}, "Text": {"Data": "Hello there."}},
                }
            },
        )
        return str(sent["MessageId"])


def address_of(contact_id: str) -> str:
    """The email address of a contact in the benchmarks."""
    return f"{contact_id}@people.test"


@workflow.defn
class BareTrack:
    """Email, wait for a click with a timeout, branch, email."""

    def __init__(self) -> None:
        self._clicked = False

    @workflow.signal
    def clicked(self) -> None:
        """The contact clicked."""
        self._clicked = True

    @workflow.run
    async def run(self, given: BareInput) -> str:
        """Run the track for one contact."""
        await self._mail(given, "hello")
        if given.delay:
            await workflow.sleep(given.delay)
        try:
            await workflow.wait_condition(lambda: self._clicked, timeout=given.patience)
        except TimeoutError:
            await self._mail(given, "reminder")
            return "silent"
        await self._mail(given, "thanks")
        return "clicked"

    async def _mail(self, given: BareInput, template: str) -> None:
        await _mail(given.contact_id, template)


@workflow.defn
class BareSleeper:
    """Sleep until a moment, then email."""

    @workflow.run
    async def run(self, given: SleeperInput) -> None:
        """Email one contact at the moment."""
        await workflow.sleep(max(0.0, given.moment - workflow.time()))
        await _mail(given.contact_id, "moment")


async def _mail(contact_id: str, template: str) -> None:
    await workflow.execute_activity(
        "send_bare_mail",
        BareMail(contact_id, template),
        task_queue=QUEUE_EMAIL,
        start_to_close_timeout=timedelta(seconds=45),
    )
