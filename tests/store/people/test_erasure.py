"""An erased contact leaves no personal datum; counts stay, and nobody writes to the addresses again."""

from __future__ import annotations

import asyncio

from store.people import erasure
from store.people.consents import suppressions
from store.people.consents.consents import Change
from store.people.crm import crm
from store.runs.enrollments.enrolling import Enrolled
from store.runs.events.events import Accepted
from tests.store.people.consents.consent_calls import at, suppressed, tell
from tests.store.store_calls import NOW, TRIAL, StoreCalls


async def erase(store: StoreCalls, contact_id: str = "ann") -> erasure.Erased:
    async with store.db.transaction() as tx:
        return await erasure.erase(tx, contact_id, now=NOW)


async def test_erasing_leaves_no_personal_datum_and_keeps_the_counts(store: StoreCalls) -> None:
    run = await store.live(TRIAL, properties={"greeting": "Dear Secretname"})
    await store.contact(attributes={"name": "Secretname"}, phone="+4915112345678")
    claim = await store.claim(run.id)
    async with store.db.transaction() as tx:
        await crm.apply(tx, "ann", "k", note="Secretname called", task=crm.NewTask("Call Secretname"))
        await suppressions.add(tx, "email", "ann@acme.test", "unsubscribed")
    await store.happen("email.clicked", step="hello", link="Secretname")
    assert await erase(store) == erasure.Erased(existed=True, ended=1)
    for (table,) in await store.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"):
        for (row,) in await store.rows(f"SELECT row_to_json(t)::text FROM {table} t"):
            if table not in ("track_version",):
                assert not any(secret in row for secret in ("Secretname", "ann@acme.test", "15112345678")), (table, row)
    assert [len(await store.rows(f"SELECT 1 FROM {t}")) for t in ("enrollment", "event", "message")] == [1, 1, 1]
    assert await store.waiting() == [("start", {}), ("end", {"reason": "erased"})]
    assert claim.decision == "granted"
    assert await erase(store) == erasure.Erased(existed=False, ended=1)
    assert await erase(store, "nobody") == erasure.Erased(existed=False, ended=0)


async def test_event_of_an_erased_contact_is_dropped_until_they_are_made_anew(store: StoreCalls) -> None:
    await store.live(TRIAL)
    await erase(store)
    assert await store.happen("email.clicked", step="hello") == Accepted(erased=True)
    await store.contact()
    assert await store.happen("email.clicked", event_id="e2", step="hello") == Accepted(matched=1)
    async with store.db.transaction() as tx:
        found = await suppressions.find(tx, "email", "ann@acme.test")
    assert found is not None and found.reason == "erased"


async def test_enrollment_and_event_racing_an_erasure_leave_no_properties_behind(store: StoreCalls) -> None:
    """The second transaction waits. Then the contact is erased, or the erasure finds everything to erase."""
    await store.publish(TRIAL)
    for number in range(10):
        contact_id = f"c{number}"
        await store.contact(contact_id)
        enrolled, accepted, erased = await asyncio.gather(
            store.enroll("trial", contact_id, properties={"name": "x"}),
            store.happen("page.viewed", contact_id, event_id=f"e{number}", name="x"),
            erase(store, contact_id),
        )
        assert isinstance(enrolled, Enrolled)
        assert isinstance(accepted, Accepted)
        assert erased.ended == (enrolled.outcome == "created")
    assert await store.rows("SELECT 1 FROM enrollment WHERE properties <> '{}'") == []
    assert await store.rows("SELECT 1 FROM event WHERE properties <> '{}'") == []


async def test_erasing_forgets_the_proof_and_keeps_the_addresses_from_being_written_to(store: StoreCalls) -> None:
    run = await store.live()
    await tell(store, Change("email", "", "granted", "form"))
    claim = await store.claim(run.id)
    await store.rows("UPDATE message SET address_hash = 'h' WHERE id = :id RETURNING id", id=claim.message_id)
    async with store.db.transaction() as tx:
        await suppressions.add(tx, "sms", "+15005550009", "complained", NOW)
        await erasure.erase(tx, "ann", now=at(1))
    assert await store.rows("SELECT 1 FROM consent UNION ALL SELECT 1 FROM consent_change") == []
    assert await store.rows("SELECT 1 FROM message WHERE address_hash IS NOT NULL") == []
    assert (await suppressed(store), await suppressed(store, "+15005550009", "sms")) == ("erased", "complained")
    await store.contact()
    await tell(store, Change("email", "", "granted", "form"), hours=2)
    assert await suppressed(store) is None
