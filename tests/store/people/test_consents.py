"""Consents: every change is stored, and the latest by time is valid, in any order of arrival."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.engine.ids import new_id
from store.people import consents, contacts, erasure, preferences, suppressions
from store.people.consents import Change, Proof, Said, follows
from store.published import policies
from store.schema.rows import Channel
from tests.store.scene import NOW, WELCOME, Scene
from tracks.model.message_rules import MessageRules
from tracks.policy.workspace_policy import parse_policy

POLICY = """
topics:
  tips: {name: Tips}
  news: {name: News, opt_in: double}
"""
LEAVING = (
    WELCOME.replace("welcome", "leaving")
    + """
  - {id: left, wait_for: {event: contact.unsubscribed, within: 3d, then: [], else: []}}
  - {id: agreed, wait_for: {event: contact.consented, within: 3d, then: [], else: []}}
"""
)


def at(hours: float) -> Any:
    return NOW + timedelta(hours=hours)


async def policy(scene: Scene) -> None:
    async with scene.db.transaction() as tx:
        await policies.publish(tx, parse_policy(POLICY), POLICY, now=NOW)


async def tell(scene: Scene, *changes: Change, contact_id: str = "ann", hours: float = 0) -> preferences.Told:
    async with scene.db.transaction() as tx:
        told = await preferences.tell(tx, contact_id, changes, now=at(hours))
    assert told is not None
    return told


async def held(scene: Scene, contact_id: str = "ann") -> dict[tuple[str, str], str]:
    async with scene.db.transaction() as tx:
        return {(c.channel, c.topic): c.status for c in await consents.current(tx, contact_id)}


async def suppressed(scene: Scene, address: str = "ann@acme.test", channel: Channel = "email") -> str | None:
    async with scene.db.transaction() as tx:
        found = await suppressions.find(tx, channel, address)
    return found.reason if found else None


said = st.sampled_from(["granted", "pending", "confirmed", "withdrawn"])
changes = st.lists(
    st.builds(
        Change,
        channel=st.sampled_from(["email", "sms"]),
        topic=st.sampled_from(["", "tips", "news"]),
        status=said,
        source=st.sampled_from(["form", "import"]),
        at=st.integers(0, 6).map(at),
    ),
    max_size=8,
)


def expected(kept: Sequence[Change]) -> str:
    """The valid consent by another computation: the statements since the last withdrawal."""
    last = max((c.at for c in kept if c.status == "withdrawn" and c.at), default=None)
    since = {c.status for c in kept if c.at and (last is None or c.at > last)}
    if since & {"granted", "confirmed"}:
        return "granted"
    return "pending" if since else "withdrawn"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=changes, cuts=st.sets(st.integers(0, 8)))
async def test_any_sequence_ends_in_the_latest_by_time_and_all_of_it_is_kept(
    scene: Scene, changes: list[Change], cuts: set[int]
) -> None:
    contact_id = new_id()
    await scene.contact(contact_id)
    places = sorted({0, *(cut for cut in cuts if cut < len(changes)), len(changes)})
    for start, end in pairwise(places):
        async with scene.db.transaction() as tx:
            person = await contacts.hold(tx, contact_id)
            assert person is not None
            await consents.record(tx, contact_id, changes[start:end], now=NOW)
    async with scene.db.transaction() as tx:
        history = await consents.history(tx, contact_id, limit=100)
        current = await consents.current(tx, contact_id)
    assert sorted(_key(change) for change in {*changes}) == sorted(_key(proof) for proof in history)
    topics = {(change.channel, change.topic) for change in changes}
    assert {(c.channel, c.topic): c.status for c in current} == {
        topic: expected([c for c in changes if (c.channel, c.topic) == topic]) for topic in topics
    }
    for consent in current:
        assert consent.at in {c.at for c in changes if (c.channel, c.topic) == (consent.channel, consent.topic)}
        assert consent.confirmed_at is None or consent.status == "granted"


def _key(it: Change | Proof) -> tuple[Any, ...]:
    return (it.channel, it.topic, it.status, it.source, it.text_version, it.at)


@given(st.permutations([("pending", 1), ("confirmed", 3), ("pending", 4), ("withdrawn", 0)]))
def test_signing_up_again_keeps_the_confirmation_and_a_confirmation_keeps_the_proof(
    order: list[tuple[Said, int]],
) -> None:
    history = [
        Proof(n, "email", "news", status, f"form {hours}", "v1", at(hours)) for n, (status, hours) in enumerate(order)
    ]
    found = follows(history)
    assert (found.status, found.source, found.at, found.confirmed_at) == ("granted", "form 1", at(1), at(3))


async def test_a_topic_with_double_opt_in_waits_for_its_confirmation(scene: Scene) -> None:
    await policy(scene)
    await scene.contact()
    await tell(scene, Change("email", "news", "granted", "form", "v3"), Change("email", "tips", "granted", "form"))
    assert await held(scene) == {("email", "news"): "pending", ("email", "tips"): "granted"}
    for _ in range(2):
        async with scene.db.transaction() as tx:
            await preferences.confirm(tx, "ann", "email", "news", "link", now=at(1))
    async with scene.db.transaction() as tx:
        news = next(c for c in await consents.current(tx, "ann") if c.topic == "news")
        kept = [(p.status, p.source) for p in await consents.history(tx, "ann") if p.topic == "news"]
    assert (news.status, news.source, news.text_version, news.confirmed_at) == ("granted", "form", "v3", at(1))
    assert kept == [("confirmed", "link"), ("pending", "form")]


async def test_only_what_is_pending_can_be_confirmed(scene: Scene) -> None:
    await policy(scene)
    await scene.contact()
    await tell(scene, Change("email", "news", "granted", "form"))
    await tell(scene, Change("email", "news", "withdrawn", "page"), hours=1)
    async with scene.db.transaction() as tx:
        told = await preferences.confirm(tx, "ann", "email", "news", "link", now=at(2))
        nobody = await preferences.confirm(tx, "bob", "email", "news", "link", now=at(2))
    assert told is not None and told.results == []
    assert nobody is None
    assert await held(scene) == {("email", "news"): "withdrawn"}


async def test_leaving_a_channel_suppresses_the_address_until_a_newer_yes(scene: Scene) -> None:
    await scene.contact()
    await tell(scene, Change("email", "", "withdrawn", "page", at=at(5)))
    assert (await suppressed(scene), await suppressed(scene, "+15005550009", "sms")) == ("unsubscribed", None)
    await tell(scene, Change("email", "", "granted", "old list", at=at(4)))
    await tell(scene, Change("email", "tips", "granted", "form", at=at(6)))
    assert await suppressed(scene) == "unsubscribed"
    await tell(scene, Change("email", "", "granted", "form", at=at(6)))
    assert await suppressed(scene) is None


async def test_a_yes_of_another_contact_with_the_address_brings_only_that_one_back(scene: Scene) -> None:
    await scene.contact()
    await scene.contact("bob", email="ANN@acme.test")
    await tell(scene, Change("email", "", "withdrawn", "page", at=at(1)))
    await tell(scene, Change("email", "", "granted", "form", at=at(2)), contact_id="bob")
    assert await suppressed(scene) is None
    assert (await held(scene))["email", ""] == "withdrawn"


async def test_the_tracks_hear_of_what_turned_and_of_nothing_else(scene: Scene) -> None:
    await policy(scene)
    await scene.live(LEAVING)
    about = {"message_id": "m", "step": "hello"}
    steps = [
        Change("email", "tips", "withdrawn", "page", at=at(1)),
        Change("email", "tips", "withdrawn", "page", at=at(2)),
        Change("email", "tips", "granted", "late", at=at(0)),
        Change("email", "news", "granted", "form", at=at(3)),
        Change("email", "news", "confirmed", "link", at=at(4)),
        Change("sms", "", "withdrawn", "page", at=at(5)),
    ]
    for change in steps:
        async with scene.db.transaction() as tx:
            await preferences.tell(tx, "ann", [change, change], about=about, now=at(6))
    happened = [
        (payload["name"], row.properties)
        for (_, payload), row in zip(
            await scene.waiting("event"),
            await scene.rows("SELECT properties FROM event ORDER BY occurred_at"),
            strict=True,
        )
    ]
    assert happened == [
        ("contact.unsubscribed", about | {"channel": "email", "topic": "tips", "reason": "unsubscribed"}),
        ("contact.consented", about | {"channel": "email", "topic": "news", "status": "pending"}),
        ("contact.consented", about | {"channel": "email", "topic": "news", "status": "granted"}),
        ("contact.unsubscribed", about | {"channel": "sms", "reason": "unsubscribed"}),
    ]


async def test_nobody_can_say_anything_for_a_contact_who_is_not_there(scene: Scene) -> None:
    async with scene.db.transaction() as tx:
        assert await preferences.tell(tx, "nobody", [Change("email", "", "granted", "form")]) is None
    assert await scene.rows("SELECT 1 FROM consent_change") == []


async def test_erasing_forgets_the_proof_and_keeps_the_addresses_from_being_written_to(scene: Scene) -> None:
    run = await scene.live()
    await tell(scene, Change("email", "", "granted", "form"))
    claim = await scene.claim(run.id)
    await scene.rows("UPDATE message SET address_hash = 'h' WHERE id = :id RETURNING id", id=claim.message_id)
    async with scene.db.transaction() as tx:
        await suppressions.add(tx, "sms", "+15005550009", "complained", NOW)
        await erasure.erase(tx, "ann", now=at(1))
    assert await scene.rows("SELECT 1 FROM consent UNION ALL SELECT 1 FROM consent_change") == []
    assert await scene.rows("SELECT 1 FROM message WHERE address_hash IS NOT NULL") == []
    assert (await suppressed(scene), await suppressed(scene, "+15005550009", "sms")) == ("erased", "complained")
    await scene.contact()
    await tell(scene, Change("email", "", "granted", "form"), hours=2)
    assert await suppressed(scene) is None


async def test_a_pause_stays_when_the_contact_is_changed(scene: Scene) -> None:
    await scene.contact()
    async with scene.db.transaction() as tx:
        assert await contacts.pause(tx, "ann", at(24))
        assert not await contacts.pause(tx, "nobody", at(24))
    await scene.contact(attributes={"role": "dev"})
    async with scene.db.transaction() as tx:
        paused = await contacts.get(tx, "ann")
        await contacts.pause(tx, "ann", None)
        ended = await contacts.get(tx, "ann")
    assert paused is not None and (paused.paused_until, paused.attributes) == (at(24), {"role": "dev"})
    assert ended is not None and ended.paused_until is None


async def test_a_message_that_waits_is_refused_once_the_contact_has_left(scene: Scene) -> None:
    await policy(scene)
    await scene.publish(WELCOME)
    ways: dict[str, tuple[str, str]] = {
        "topic": ("skipped", "no consent: tips withdrawn"),
        "channel": ("skipped", "suppressed: unsubscribed"),
        "operator": ("skipped", "suppressed: manual"),
        "nothing": ("", ""),
    }
    for who, (status, reason) in ways.items():
        await scene.contact(who)
        run = await scene.enrolled("welcome", who)
        async with scene.db.transaction() as tx:
            await contacts.pause(tx, who, at(24))
        rules = MessageRules(topic="tips")
        waiting = await scene.claim(run.id, rules=rules, now=at(0))
        assert (waiting.decision, waiting.reason, waiting.until) == ("deferred", "paused", at(24))
        if who == "topic":
            await tell(scene, Change("email", "tips", "withdrawn", "page"), contact_id=who)
        elif who == "channel":
            await tell(scene, Change("email", "", "withdrawn", "page"), contact_id=who)
        elif who == "operator":
            async with scene.db.transaction() as tx:
                await suppressions.add(tx, "email", f"{who}@acme.test", "manual")
        again = await scene.claim(run.id, token="t2", rules=rules, now=at(25))
        assert (again.decision == "granted") == (who == "nothing")
        assert (again.status or "", again.reason) == (status, reason)


async def test_a_confirmation_lets_the_next_message_of_the_topic_go(scene: Scene) -> None:
    await policy(scene)
    run = await scene.live()
    await tell(scene, Change("email", "news", "granted", "form"))
    first = await scene.claim(run.id, rules=MessageRules(topic="news"))
    ask = await scene.claim(run.id, step="ask", rules=MessageRules(topic="news", transactional=True))
    async with scene.db.transaction() as tx:
        await preferences.confirm(tx, "ann", "email", "news", "link", now=at(1))
    second = await scene.claim(run.id, step="second", rules=MessageRules(topic="news"))
    assert (first.reason, ask.decision, second.decision) == ("no consent: news not confirmed", "granted", "granted")


async def test_a_contact_leaves_while_their_messages_are_being_claimed(scene: Scene) -> None:
    """The first of both locks the contact: no message is granted after the withdrawal is stored."""
    await scene.publish(WELCOME)
    for number in range(8):
        who = f"c{number}"
        await scene.contact(who)
        run = await scene.enrolled("welcome", who)
        kept: list[str] = []

        async def leave(who: str = who, kept: list[str] = kept) -> None:
            await tell(scene, Change("email", "", "withdrawn", "page"), contact_id=who)
            kept.append(who)

        async def send(step: str, enrollment: str = run.id, kept: list[str] = kept) -> None:
            late = bool(kept)
            claim = await scene.claim(enrollment, token=step, step=step)
            assert not (late and claim.decision == "granted")

        await asyncio.gather(send("a"), leave(), send("b"), send("c"))
        assert (await scene.claim(run.id, step="d")).reason == "suppressed: unsubscribed"
