"""One message on one of several channels: the activities, the ledger and the providers together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from activities import contract
from activities.contract import SendResult
from store.people.consents import suppressions
from store.schema.rows import Channel
from tests.activities.activity_runner import ActivityRunner

TRACK = """
track: either
steps:
  - id: nudge
    send:
      to: {to}
      channels:
        - email: {{template: hello, from: ada@acme.test}}
        - sms: {{template: nudge, from: '+15005550006'}}
"""
ACTIVITIES: dict[str, tuple[str, str]] = {
    "email": (contract.QUEUE_EMAIL, contract.SEND_EMAIL),
    "sms": (contract.QUEUE_SMS, contract.SEND_SMS),
}
ELSEWHERE = SendResult(outcome="elsewhere", channel="sms")


@dataclass
class Chosen:
    runner: ActivityRunner

    async def ask(self, channel: str, chosen: str = "") -> SendResult:
        """Call a channel's activity as the workflow does."""
        queue, name = ACTIVITIES[channel]
        call = self.runner.call("nudge").model_copy(update={"channel": chosen})
        result: SendResult = await self.runner.run(queue, name, call)
        return result

    async def suppress(self, channel: Channel) -> None:
        address = self.runner.email if channel == "email" else self.runner.phone
        async with self.runner.db.transaction() as tx:
            await suppressions.add(tx, channel, address, "bounced")

    def accepted(self) -> list[str]:
        """The channels of the messages that providers accepted."""
        return [
            channel
            for channel, address in (("email", self.runner.email), ("sms", self.runner.phone))
            for _ in self.runner.providers.accepted(address)
        ]


@pytest.fixture(params=["best", "first"])
async def either(runner: ActivityRunner, request: pytest.FixtureRequest) -> Chosen:
    await runner.enroll(TRACK.format(to=request.param))
    return Chosen(runner)


async def test_the_first_channel_sends_if_nothing_speaks_for_another(either: Chosen) -> None:
    assert (await either.ask("email")).outcome == "sent"
    assert either.accepted() == ["email"]


async def test_another_channel_is_named_without_sending_and_then_sends(either: Chosen) -> None:
    await either.suppress("email")
    assert await either.ask("email") == ELSEWHERE
    assert either.accepted() == []
    assert (await either.ask("sms", "sms")).outcome == "sent"
    assert either.accepted() == ["sms"]
    assert (await either.ask("email")).outcome == "sent"  # the ledger's result, no second message
    assert either.accepted() == ["sms"]


async def test_a_channel_that_was_chosen_is_not_chosen_again(either: Chosen) -> None:
    assert (await either.ask("sms", "sms")).outcome == "sent"
    assert either.accepted() == ["sms"]


async def test_where_no_channel_may_be_used_the_message_is_skipped_with_a_reason(either: Chosen) -> None:
    await either.suppress("email")
    await either.suppress("sms")
    skipped = await either.ask("email")
    assert (skipped.outcome, skipped.reason) == ("skipped", "suppressed: bounced")
    assert (await either.runner.message("email")).status == "skipped"


async def test_both_channels_asked_at_once_send_one_message(either: Chosen) -> None:
    await asyncio.gather(*(either.ask(channel, channel) for channel in ("email", "sms", "email", "sms")))
    assert len(either.accepted()) == 1


async def test_an_enrolment_that_is_over_is_answered_so_by_any_channel(either: Chosen) -> None:
    await either.suppress("email")
    await either.runner.store.close(either.runner.enrollment.id)
    assert (await either.ask("email")).outcome == "ended"
