"""What contacts said is seen by the claim of each message, also while they say it."""

from __future__ import annotations

import asyncio

from store.people import contacts
from store.people.consents import preferences, suppressions
from store.people.consents.consents import Change
from tests.store.people.consents.consent_calls import at, policy, tell
from tests.store.store_calls import WELCOME, StoreCalls
from tracks.model.message_rules import MessageRules


async def test_a_message_that_waits_is_refused_once_the_contact_has_left(store: StoreCalls) -> None:
    await policy(store)
    await store.publish(WELCOME)
    ways: dict[str, tuple[str, str]] = {
        "topic": ("skipped", "no consent: tips withdrawn"),
        "channel": ("skipped", "suppressed: unsubscribed"),
        "operator": ("skipped", "suppressed: manual"),
        "nothing": ("", ""),
    }
    for who, (status, reason) in ways.items():
        await store.contact(who)
        run = await store.enrolled("welcome", who)
        async with store.db.transaction() as tx:
            await contacts.pause(tx, who, at(24))
        rules = MessageRules(topic="tips")
        waiting = await store.claim(run.id, rules=rules, now=at(0))
        assert (waiting.decision, waiting.reason, waiting.until) == ("deferred", "paused", at(24))
        if who == "topic":
            await tell(store, Change("email", "tips", "withdrawn", "page"), contact_id=who)
        elif who == "channel":
            await tell(store, Change("email", "", "withdrawn", "page"), contact_id=who)
        elif who == "operator":
            async with store.db.transaction() as tx:
                await suppressions.add(tx, "email", f"{who}@acme.test", "manual")
        again = await store.claim(run.id, token="t2", rules=rules, now=at(25))
        assert (again.decision == "granted") == (who == "nothing")
        assert (again.status or "", again.reason) == (status, reason)


async def test_a_confirmation_lets_the_next_message_of_the_topic_go(store: StoreCalls) -> None:
    await policy(store)
    run = await store.live()
    await tell(store, Change("email", "news", "granted", "form"))
    first = await store.claim(run.id, rules=MessageRules(topic="news"))
    ask = await store.claim(run.id, step="ask", rules=MessageRules(topic="news", transactional=True))
    async with store.db.transaction() as tx:
        await preferences.confirm(tx, "ann", "email", "news", "link", now=at(1))
    second = await store.claim(run.id, step="second", rules=MessageRules(topic="news"))
    assert (first.reason, ask.decision, second.decision) == ("no consent: news not confirmed", "granted", "granted")


async def test_a_contact_leaves_while_their_messages_are_being_claimed(store: StoreCalls) -> None:
    """The first of both locks the contact: no message is granted after the withdrawal is stored."""
    await store.publish(WELCOME)
    for number in range(8):
        who = f"c{number}"
        await store.contact(who)
        run = await store.enrolled("welcome", who)
        kept: list[str] = []

        async def leave(who: str = who, kept: list[str] = kept) -> None:
            await tell(store, Change("email", "", "withdrawn", "page"), contact_id=who)
            kept.append(who)

        async def send(step: str, enrollment: str = run.id, kept: list[str] = kept) -> None:
            late = bool(kept)
            claim = await store.claim(enrollment, token=step, step=step)
            assert not (late and claim.decision == "granted")

        await asyncio.gather(send("a"), leave(), send("b"), send("c"))
        assert (await store.claim(run.id, step="d")).reason == "suppressed: unsubscribed"
