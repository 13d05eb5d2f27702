"""The email to the salesperson: once, to their own address, with the link, and only while an answer is awaited."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from activities.channels.sales_mail import UNKNOWN_FOR
from activities.contract import HAND_OVER, QUEUE_CRM
from store.engine.sql import utc_now
from store.people.consents import suppressions
from store.people.handoffs import answering
from store.published import policies
from tests.activities.activity_runner import NAME, ActivityRunner
from tests.activities.effects.test_handoffs import TRACK, made
from tracks.policy.workspace_policy import parse_policy
from tracks.shared.link_tokens import verify_handoff

POLICY = """
sales:
  teams: {sales: {people: [{id: ada, name: Ada Lovelace, email: %s, language: de-AT}]}}
  reject_reasons: {not-a-fit: Not a fit}
  notify: {from: 'Leads <leads@acme.test>', reply_to: desk@acme.test}
"""


async def handed(runner: ActivityRunner, policy: str = POLICY) -> str:
    """Hand a lead over; answers the salesperson's address."""
    address = f"ada.{runner.contact}@sales.test"
    source = policy % address if "%s" in policy else policy
    async with runner.db.transaction() as tx:
        await policies.publish(tx, parse_policy(source), source)
    await runner.enroll(TRACK)
    assert (await runner.run(QUEUE_CRM, HAND_OVER, runner.call("sales"))).outcome == "waiting"
    return address


async def mail(runner: ActivityRunner, later: timedelta = timedelta(0)) -> bool:
    return await runner.activities.sales_mails.send(utc_now() + later)


def inbox(runner: ActivityRunner, address: str) -> list[dict[str, Any]]:
    return runner.providers.accepted(address)


async def test_the_salesperson_gets_the_summary_and_the_link_in_their_language(runner: ActivityRunner) -> None:
    address = await handed(runner)
    assert await mail(runner)
    (got,), (handoff,) = inbox(runner, address), await made(runner)
    assert got["subject"] == "Ein Lead für Sie: Wants order A-17"
    assert "Bitte antworten Sie bis" in got["text"] and handoff.summary.splitlines()[0] in got["text"]
    token = got["text"].partition("/handoff/")[2].split()[0]
    assert verify_handoff(runner.providers.settings().signing_secret, token) == handoff.id
    assert inbox(runner, runner.email) == [] and NAME not in got["text"]
    message = await runner.message()
    assert (message.status, message.recipient, message.effect_key) == ("sent", "salesperson ada", handoff.effect_key)


async def test_it_is_sent_once_however_many_workers_look_and_however_often(runner: ActivityRunner) -> None:
    address = await handed(runner)
    await asyncio.gather(*(mail(runner) for _ in range(3)))
    assert not await mail(runner, timedelta(days=1))
    await runner.store.rows("UPDATE handoff SET mail_at = now() RETURNING 1")  # as if a worker had died before it noted
    assert await mail(runner, timedelta(days=1))
    assert len(inbox(runner, address)) == 1


async def test_an_email_that_was_certainly_not_sent_is_tried_again(runner: ActivityRunner) -> None:
    address = await handed(runner)
    runner.providers.fault("ses", "429", match=address)
    assert await mail(runner)
    assert inbox(runner, address) == []
    assert await mail(runner, timedelta(minutes=20))
    assert len(inbox(runner, address)) == 1


@pytest.mark.parametrize("answered", [False, True])
async def test_an_email_of_which_nobody_knows_is_not_sent_again_and_counts_as_sent(
    runner: ActivityRunner, *, answered: bool
) -> None:
    address = await handed(runner)
    runner.providers.fault("ses", "drop_after", match=address)
    assert await mail(runner)
    assert (await runner.message()).status == "unknown"
    if answered:
        (handoff,) = await made(runner)
        async with runner.db.transaction() as tx:
            await answering.answer(tx, "accepted", handoff_id=handoff.id)
    assert await mail(runner, 2 * UNKNOWN_FOR)
    assert (await runner.message()).status == "sent"
    assert not await mail(runner, timedelta(days=1))
    assert len(inbox(runner, address)) == 1


async def test_after_the_answer_and_without_the_policys_word_no_email_goes(runner: ActivityRunner) -> None:
    address = await handed(runner)
    (handoff,) = await made(runner)
    async with runner.db.transaction() as tx:
        await answering.answer(tx, "accepted", handoff_id=handoff.id)
    assert await mail(runner)
    assert inbox(runner, address) == [] and not await mail(runner, timedelta(days=1))


async def test_a_policy_that_does_not_notify_schedules_nothing(runner: ActivityRunner) -> None:
    await handed(runner, POLICY.partition("  notify")[0] % "ada@sales.test")
    assert not await mail(runner)


async def test_nothing_goes_to_an_address_that_is_suppressed(runner: ActivityRunner) -> None:
    address = f"ada.{runner.contact}@sales.test"
    async with runner.db.transaction() as tx:
        await suppressions.add(tx, "email", address, "bounced")
    await handed(runner)
    assert await mail(runner)
    assert inbox(runner, address) == []
    assert (await runner.message()).status == "skipped"
