"""An undone merge gives back what was moved; what came since stays with the survivor."""

from __future__ import annotations

from datetime import timedelta

from store.people import contacts
from store.people.consents.consents import Change
from tests.store.people.consents.consent_calls import held, tell
from tests.store.people.merging.merge_calls import facts, merged, unmerged
from tests.store.store_calls import NOW, WELCOME, StoreCalls

DAY = timedelta(days=1)


async def both(store: StoreCalls) -> None:
    await store.publish(WELCOME)
    await store.contact("ann", phone=None, attributes={})
    await store.contact("bob", attributes={"role": "owner", "seats": 3})


async def attributes(store: StoreCalls, contact_id: str) -> object:
    async with store.db.transaction() as tx:
        found = await contacts.get(tx, contact_id)
    return found.attributes if found else None


async def test_events_and_changes_since_stay_with_the_survivor(store: StoreCalls) -> None:
    await both(store)
    await store.happen("seen", "bob", event_id="before")
    await merged(store)
    await store.happen("seen", "bob", event_id="since")
    await store.contact("bob", phone="+15005550001", attributes={"seats": 4, "city": "Bern"})
    await unmerged(store)
    owners = {row.event_id: row.contact_id for row in await store.rows("SELECT event_id, contact_id FROM event")}
    assert owners == {"before": "bob", "since": "ann"}
    assert await attributes(store, "ann") == {"seats": 4, "city": "Bern"}, "what was filled and not changed is gone"
    assert await attributes(store, "bob") == {"role": "owner", "seats": 3}
    phones = {row.id: row.phone for row in await store.rows("SELECT id, phone FROM contact")}
    assert phones == {"ann": "+15005550001", "bob": "+15005550009"}


async def test_a_live_run_comes_back_with_the_messages_that_it_sent_since(store: StoreCalls) -> None:
    await both(store)
    run = await store.enrolled("welcome", "bob")
    await merged(store)
    await store.settle(await store.claim(run.id, now=NOW), "sent", provider_id="p1")
    await unmerged(store)
    assert [tuple(row) for row in await store.rows("SELECT contact_id, status FROM message")] == [("bob", "sent")]
    assert (await store.enroll("welcome", "bob")).outcome == "existing"
    assert (await store.enroll("welcome", "ann")).outcome == "created"


async def test_a_run_that_the_merge_ended_stays_ended_and_holds_its_place_again(store: StoreCalls) -> None:
    await both(store)
    younger = await store.enrolled("welcome", "ann", now=NOW)
    await store.enrolled("welcome", "bob", now=NOW - DAY)
    await merged(store)
    await unmerged(store)
    again = await store.enroll("welcome", "ann")
    assert again.enrollment is not None and (again.outcome, again.enrollment.id) == ("existing", younger.id)
    assert (await store.claim(younger.id, now=NOW)).reason == "exit"
    await store.close(younger.id, "exited")
    assert (await store.enroll("welcome", "ann")).refusal == "reentry"


async def test_a_place_that_was_taken_anew_meanwhile_stays_with_the_survivor(store: StoreCalls) -> None:
    again = WELCOME.replace("track: welcome", "track: again").replace("steps:", "reentry: always\nsteps:", 1)
    await both(store)
    await store.publish(again)
    old = await store.enrolled("again", "bob", now=NOW - DAY)
    await merged(store)
    await store.close(old.id)
    new = await store.enrolled("again", "bob", now=NOW + DAY)
    await unmerged(store, now=NOW + DAY)
    rows = await store.rows("SELECT id::text, contact_id, slot FROM enrollment")
    assert {tuple(row) for row in rows} == {(old.id, "bob", ""), (new.id, "ann", "")}


async def test_a_withdrawal_since_the_merge_holds_for_both(store: StoreCalls) -> None:
    await both(store)
    for who in ("ann", "bob"):
        await tell(store, Change("email", "news", "granted", "form", at=NOW - DAY), contact_id=who)
    await merged(store)
    await tell(store, Change("email", "news", "withdrawn", "a link"), contact_id="bob", hours=1)
    await tell(store, Change("sms", "", "granted", "form"), contact_id="bob", hours=1)
    await unmerged(store)
    assert await held(store, "ann") == {("email", "news"): "withdrawn", ("sms", ""): "granted"}
    assert await held(store, "bob") == {("email", "news"): "withdrawn"}


async def test_a_pause_that_was_longer_is_the_survivors_until_the_merge_is_undone(store: StoreCalls) -> None:
    await both(store)
    async with store.db.transaction() as tx:
        await contacts.pause(tx, "ann", NOW + DAY)
        await contacts.pause(tx, "bob", NOW + 3 * DAY)
    before = await facts(store)
    await merged(store)
    (ann,) = await store.rows("SELECT paused_until FROM contact")
    assert ann.paused_until == NOW + 3 * DAY
    await unmerged(store)
    assert await facts(store) == before


async def test_merging_and_undoing_may_be_repeated(store: StoreCalls) -> None:
    await both(store)
    await store.happen("seen", "bob")
    await store.enrolled("welcome", "bob")
    before = await facts(store)
    for _ in range(3):
        assert (await merged(store)).outcome == "merged"
        assert (await unmerged(store)).outcome == "unmerged"
        assert await facts(store) == before
    assert (await unmerged(store)).outcome == "not_merged"
