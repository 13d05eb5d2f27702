"""Consents: every change is stored, and the latest by time is valid, in any order of arrival."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.engine.ids import new_id
from store.people import contacts
from store.people.consents import consents, preferences
from store.people.consents.consents import Change, Proof, Said, follows
from tests.store.people.consents.consent_calls import at, held, policy, suppressed, tell
from tests.store.store_calls import NOW, WELCOME, StoreCalls

LEAVING = (
    WELCOME.replace("welcome", "leaving")
    + """
  - {id: left, wait_for: {event: contact.unsubscribed, within: 3d, then: [], else: []}}
  - {id: agreed, wait_for: {event: contact.consented, within: 3d, then: [], else: []}}
"""
)
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
    store: StoreCalls, changes: list[Change], cuts: set[int]
) -> None:
    contact_id = new_id()
    await store.contact(contact_id)
    places = sorted({0, *(cut for cut in cuts if cut < len(changes)), len(changes)})
    for start, end in pairwise(places):
        async with store.db.transaction() as tx:
            person = await contacts.hold(tx, contact_id)
            assert person is not None
            await consents.record(tx, contact_id, changes[start:end], now=NOW)
    async with store.db.transaction() as tx:
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


async def test_a_topic_with_double_opt_in_waits_for_its_confirmation(store: StoreCalls) -> None:
    await policy(store)
    await store.contact()
    await tell(store, Change("email", "news", "granted", "form", "v3"), Change("email", "tips", "granted", "form"))
    assert await held(store) == {("email", "news"): "pending", ("email", "tips"): "granted"}
    for _ in range(2):
        async with store.db.transaction() as tx:
            await preferences.confirm(tx, "ann", "email", "news", "link", now=at(1))
    async with store.db.transaction() as tx:
        news = next(c for c in await consents.current(tx, "ann") if c.topic == "news")
        kept = [(p.status, p.source) for p in await consents.history(tx, "ann") if p.topic == "news"]
    assert (news.status, news.source, news.text_version, news.confirmed_at) == ("granted", "form", "v3", at(1))
    assert kept == [("confirmed", "link"), ("pending", "form")]


async def test_only_what_is_pending_can_be_confirmed(store: StoreCalls) -> None:
    await policy(store)
    await store.contact()
    await tell(store, Change("email", "news", "granted", "form"))
    await tell(store, Change("email", "news", "withdrawn", "page"), hours=1)
    async with store.db.transaction() as tx:
        told = await preferences.confirm(tx, "ann", "email", "news", "link", now=at(2))
        nobody = await preferences.confirm(tx, "bob", "email", "news", "link", now=at(2))
    assert told is not None and told.results == []
    assert nobody is None
    assert await held(store) == {("email", "news"): "withdrawn"}


async def test_leaving_a_channel_suppresses_the_address_until_a_newer_yes(store: StoreCalls) -> None:
    await store.contact()
    await tell(store, Change("email", "", "withdrawn", "page", at=at(5)))
    assert (await suppressed(store), await suppressed(store, "+15005550009", "sms")) == ("unsubscribed", None)
    await tell(store, Change("email", "", "granted", "old list", at=at(4)))
    await tell(store, Change("email", "tips", "granted", "form", at=at(6)))
    assert await suppressed(store) == "unsubscribed"
    await tell(store, Change("email", "", "granted", "form", at=at(6)))
    assert await suppressed(store) is None


async def test_a_yes_of_another_contact_with_the_address_brings_only_that_one_back(store: StoreCalls) -> None:
    await store.contact()
    await store.contact("bob", email="ANN@acme.test")
    await tell(store, Change("email", "", "withdrawn", "page", at=at(1)))
    await tell(store, Change("email", "", "granted", "form", at=at(2)), contact_id="bob")
    assert await suppressed(store) is None
    assert (await held(store))["email", ""] == "withdrawn"


async def test_the_tracks_hear_of_what_turned_and_of_nothing_else(store: StoreCalls) -> None:
    await policy(store)
    await store.live(LEAVING)
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
        async with store.db.transaction() as tx:
            await preferences.tell(tx, "ann", [change, change], about=about, now=at(6))
    happened = [
        (payload["name"], row.properties)
        for (_, payload), row in zip(
            await store.waiting("event"),
            await store.rows("SELECT properties FROM event ORDER BY occurred_at"),
            strict=True,
        )
    ]
    assert happened == [
        ("contact.unsubscribed", about | {"channel": "email", "topic": "tips", "reason": "unsubscribed"}),
        ("contact.consented", about | {"channel": "email", "topic": "news", "status": "pending"}),
        ("contact.consented", about | {"channel": "email", "topic": "news", "status": "granted"}),
        ("contact.unsubscribed", about | {"channel": "sms", "reason": "unsubscribed"}),
    ]


async def test_nobody_can_say_anything_for_a_contact_who_is_not_there(store: StoreCalls) -> None:
    async with store.db.transaction() as tx:
        assert await preferences.tell(tx, "nobody", [Change("email", "", "granted", "form")]) is None
    assert await store.rows("SELECT 1 FROM consent_change") == []


async def test_a_pause_stays_when_the_contact_is_changed(store: StoreCalls) -> None:
    await store.contact()
    async with store.db.transaction() as tx:
        assert await contacts.pause(tx, "ann", at(24))
        assert not await contacts.pause(tx, "nobody", at(24))
    await store.contact(attributes={"role": "dev"})
    async with store.db.transaction() as tx:
        paused = await contacts.get(tx, "ann")
        await contacts.pause(tx, "ann", None)
        ended = await contacts.get(tx, "ann")
    assert paused is not None and (paused.paused_until, paused.attributes) == (at(24), {"role": "dev"})
    assert ended is not None and ended.paused_until is None
