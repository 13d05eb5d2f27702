"""Segments go out as they change: at least once, in order per contact, and the receiver ends with the members."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import timedelta

from activities.audience.segment_webhooks import SegmentWebhooks
from activities.providers.webhooks import SignedWebhooks
from store.audience.webhooks import destinations
from store.people import contacts, erasure
from tests.activities.audience.audience_receiver import AudienceReceiver
from tests.activities.audience.webhook_calls import TEAM, ads, put, send, set_plan, set_size
from tests.store.audience.segment_calls import live, members
from tests.store.store_calls import NOW, StoreCalls


async def test_a_new_webhook_is_sent_all_members_and_then_each_change(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    for who, its in (("ann", "team"), ("bob", "free"), ("eve", "team")):
        await set_plan(store, who, its)
    await live(store, "team", TEAM)
    await put(store, there)
    await send(sender)
    assert there.members == ["ann", "eve"]
    assert [call["type"] for call in there.calls] == ["segment.members", "segment.complete"]
    await set_plan(store, "bob", "team")
    await set_plan(store, "ann", "free")
    await send(sender)
    assert there.members == ["bob", "eve"] == await members(store, "team")
    assert [(one["contact_id"], one["member"]) for one in there.calls[-1]["data"]["changes"]] == [
        ("bob", True),
        ("ann", False),
    ]
    shown = await ads(store)
    assert (shown.waiting, shown.delivered, shown.sends_all) == (0, 4, False)


async def test_only_the_named_fields_are_sent_and_addresses_as_hashes_if_asked(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    await set_plan(store, "ann", "team", email="Ann@Acme.test", phone="+15005550009", locale="de")
    await live(store, "team", TEAM)
    await put(store, there, fields=["email_sha256", "phone_sha256", "locale", "attributes.plan", "attributes.none"])
    await send(sender)
    (change,) = there.calls[0]["data"]["changes"]
    assert change["contact"] == {
        "email_sha256": hashlib.sha256(b"ann@acme.test").hexdigest(),
        "phone_sha256": hashlib.sha256(b"+15005550009").hexdigest(),
        "locale": "de",
        "attributes.plan": "team",
        "attributes.none": None,
    }
    assert "acme" not in json.dumps(there.calls)


async def test_a_member_whose_named_field_changed_is_sent_as_changed_and_no_other(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    for who, its in (("ann", "team"), ("bob", "free")):
        await set_plan(store, who, its)
    await live(store, "team", TEAM)
    await put(store, there, fields=["email", "attributes.size"], changes=["email", "attributes.size"])
    await send(sender)
    there.calls.clear()
    await set_size(store, "ann", 3)
    await set_size(store, "bob", 3)  # no member
    await set_plan(store, "ann", "team", locale="de")  # not named
    await send(sender)
    await set_plan(store, "ann", "team", email="ann@acme.test")
    await send(sender)
    await set_size(store, "ann", 3)  # as it was
    assert await send(sender) == 0
    changes = [change for call in there.calls for change in call["data"]["changes"]]
    assert [(one["contact_id"], one["member"], one["changed"], one["contact"]) for one in changes] == [
        ("ann", True, True, {"email": None, "attributes.size": 3}),
        ("ann", True, True, {"email": "ann@acme.test", "attributes.size": 3}),
    ]


async def test_who_enters_and_changes_before_it_is_told_is_sent_once_as_entering(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    await live(store, "team", TEAM)
    await put(store, there, fields=["attributes.size"], changes=["attributes.size"])
    await send(sender)
    there.calls.clear()
    await set_plan(store, "ann", "team")
    await set_size(store, "ann", 2)
    await send(sender)
    ((change,),) = [call["data"]["changes"] for call in there.calls]
    assert (change["changed"], change["contact"]) == (False, {"attributes.size": 2})


async def test_without_a_webhook_nothing_is_written(store: StoreCalls) -> None:
    await live(store, "team", TEAM)
    await set_plan(store, "ann", "team")
    assert await store.rows("SELECT 1 FROM segment_webhook_contact") == []


async def test_changes_wait_until_a_batch_is_full_or_its_time_is_over(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    await live(store, "team", TEAM)
    await put(store, there, batch=2, wait=30.0)
    await send(sender)
    there.calls.clear()
    await set_plan(store, "ann", "team")
    assert await send(sender, NOW + timedelta(seconds=29)) == 0
    await set_plan(store, "bob", "team")
    assert await send(sender) == 1
    await set_plan(store, "eve", "team")
    assert await send(sender) == 0
    assert await send(sender, NOW + timedelta(seconds=30)) == 1
    assert there.members == ["ann", "bob", "eve"]


async def test_who_left_before_the_webhook_was_told_of_them_is_not_made_known_to_it(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    await live(store, "team", TEAM)
    await put(store, there)
    await send(sender)
    there.calls.clear()
    await set_plan(store, "ann", "team")
    await set_plan(store, "ann", "free")
    assert await send(sender) == 0 and there.calls == []
    assert await store.rows("SELECT 1 FROM segment_webhook_contact") == []


async def test_an_erased_contact_is_gone_from_what_waits_and_the_receiver_learns_it_by_the_id_alone(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    await live(store, "team", TEAM)
    await put(store, there, fields=["email"])
    await set_plan(store, "ann", "team", email="ann@acme.test")
    await send(sender)
    await set_plan(store, "bob", "team", email="bob@acme.test")
    for who in ("ann", "bob"):
        async with store.db.transaction() as tx:
            await erasure.erase(tx, who, now=NOW)
    assert [row.contact_id for row in await store.rows("SELECT contact_id FROM segment_webhook_contact")] == ["ann"]
    there.calls.clear()
    await send(sender)
    (change,) = there.calls[0]["data"]["changes"]
    assert (change["contact_id"], change["member"], change["erased"], change["contact"]) == ("ann", False, True, {})
    assert await store.rows("SELECT 1 FROM segment_webhook_contact") == []


async def test_a_full_send_mends_a_receiver_that_has_lost_what_it_was_told(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    for who in ("ann", "bob"):
        await set_plan(store, who, "team")
    await live(store, "team", TEAM)
    await put(store, there)
    await send(sender)
    stale = dict(there.held)
    await set_plan(store, "bob", "free")
    await set_plan(store, "eve", "team")
    await send(sender)
    there.held = stale  # from its backup: it knows nothing of Eve, and believes that Bob is a member
    async with store.db.transaction() as tx:
        assert await destinations.send_all(tx, "team", "ads")
    await send(sender)
    assert there.members == ["ann", "eve"]


async def test_another_version_sends_who_is_different_only(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    for who, its in (("ann", "team"), ("bob", "free"), ("eve", "gold")):
        await set_plan(store, who, its)
    await live(store, "team", 'contact.attributes.plan in ["team", "gold"]')
    await put(store, there)
    await send(sender)
    there.calls.clear()
    await live(store, "team", 'contact.attributes.plan in ["team", "free"]')
    await send(sender)
    (call,) = there.calls
    assert [(one["contact_id"], one["member"]) for one in call["data"]["changes"]] == [("bob", True), ("eve", False)]
    assert there.members == ["ann", "bob"]


async def test_a_comparison_waits_for_transactions_that_do_not_know_the_webhook_yet(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    await live(store, "team", TEAM)
    async with store.db.transaction() as tx:
        await contacts.upsert(tx, "ann", {"attributes": {"plan": "team"}}, now=NOW)  # not committed yet
        await put(store, there)
        await send(sender, patience=0)
        assert there.calls == [] and (await ads(store)).sends_all
    await send(sender)
    assert there.members == ["ann"]


async def test_a_removed_webhook_is_called_no_more_and_its_name_is_free_at_once(
    store: StoreCalls, there: AudienceReceiver, sender: SegmentWebhooks
) -> None:
    await live(store, "team", TEAM)
    await put(store, there)
    await set_plan(store, "ann", "team")
    async with store.db.transaction() as tx:
        assert await destinations.remove(tx, "team", "ads")
        assert not await destinations.remove(tx, "team", "ads")
    await set_plan(store, "bob", "team")
    assert await send(sender) == 0
    assert await store.rows("SELECT 1 FROM segment_webhook_contact") == []
    assert await store.rows("SELECT 1 FROM segment_webhook") == []
    await put(store, there)
    await send(sender)
    assert there.members == ["ann", "bob"]


async def test_while_it_runs_a_change_is_sent_within_seconds(store: StoreCalls, there: AudienceReceiver) -> None:
    await live(store, "team", TEAM)
    await put(store, there)
    caller = SignedWebhooks(secret="", timeout=timedelta(seconds=1))
    async with SegmentWebhooks(store.db, caller):
        await set_plan(store, "ann", "team")
        for _ in range(100):
            if there.members == ["ann"]:
                break
            await asyncio.sleep(0.1)
    await caller.close()
    assert there.members == ["ann"]
