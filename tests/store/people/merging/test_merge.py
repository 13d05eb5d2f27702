"""Two contacts that are one person become one: the survivor has all of it, and nothing is sent twice."""

from __future__ import annotations

from datetime import timedelta

import pytest

from store.people import contacts, erasure
from store.people.consents import suppressions
from store.people.consents.consents import Change
from store.people.crm import crm
from store.people.merging import merge, merge_records
from store.runs.events.events import Accepted, Event
from store.schema.rows import Contact
from tests.store.people.consents.consent_calls import tell
from tests.store.people.merging.merge_calls import facts, merged, unmerged
from tests.store.store_calls import NOW, TRIAL, WELCOME, StoreCalls

DAY = timedelta(days=1)


async def person(store: StoreCalls, contact_id: str) -> Contact | None:
    async with store.db.transaction() as tx:
        return await contacts.get(tx, contact_id)


async def test_the_survivors_own_values_win_and_missing_ones_are_filled(store: StoreCalls) -> None:
    await store.contact("ann", phone=None, locale="de", attributes={"plan": "team", "seats": 3})
    await store.contact("bob", timezone="Europe/Zurich", locale="fr", attributes={"plan": "solo", "role": "owner"})
    done = await merged(store)
    assert (done.outcome, done.survivor, done.merged) == ("merged", "ann", "bob")
    assert list(done.filled) == ["phone", "timezone", "attributes.role"]
    found = await person(store, "bob")
    assert found is not None and found.id == "ann" and found.email == "ann@acme.test"
    assert (found.phone, found.timezone, found.locale) == ("+15005550009", "Europe/Zurich", "de")
    assert found.attributes == {"plan": "team", "seats": 3, "role": "owner"}


async def test_what_names_the_merged_id_later_is_the_survivors(store: StoreCalls) -> None:
    await store.publish(TRIAL)
    await store.contact("ann")
    await store.contact("bob")
    await merged(store)
    assert await store.happen("trial.started", "bob", plan="team") == Accepted(enrolled=1, merged_into="ann")
    assert await store.happen("trial.started", "bob", plan="team") == Accepted(duplicate=True, merged_into="ann")
    assert (await store.happen("trial.started", "ann", event_id="e2")).merged_into is None
    await store.contact("bob", locale="it")
    found = await person(store, "ann")
    assert found is not None and found.locale == "it"
    await store.publish(WELCOME)
    assert (await store.enrolled("welcome", "bob")).contact_id == "ann"
    assert await tell(store, Change("email", "", "withdrawn", "link"), contact_id="bob") is not None
    assert {row.contact_id for row in await store.rows("SELECT contact_id FROM consent")} == {"ann"}
    assert [row.id for row in await store.rows("SELECT id FROM contact")] == ["ann"]


async def test_of_two_live_runs_of_one_track_the_older_goes_on_and_the_younger_ends(store: StoreCalls) -> None:
    await store.publish(WELCOME)
    await store.contact("ann")
    await store.contact("bob")
    older = await store.enrolled("welcome", "bob", now=NOW - DAY)
    younger = await store.enrolled("welcome", "ann", now=NOW)
    done = await merged(store)
    assert list(done.runs_ended) == [younger.id]
    assert await store.waiting("end") == [("end", {"reason": "merged"})]
    refused = await store.claim(younger.id, now=NOW)
    assert (refused.decision, refused.reason) == ("ended", "exit")
    granted = await store.claim(older.id, now=NOW)
    assert granted.decision == "granted" and granted.run.contact is not None and granted.run.contact.id == "ann"
    again = await store.enroll("welcome", "bob")
    assert again.outcome == "existing" and again.enrollment is not None and again.enrollment.id == older.id


async def test_a_step_that_the_ending_run_has_sent_is_not_sent_by_the_one_that_goes_on(store: StoreCalls) -> None:
    await store.publish(WELCOME)
    await store.contact("ann")
    await store.contact("bob")
    older = await store.enrolled("welcome", "ann", now=NOW - DAY)
    younger = await store.enrolled("welcome", "bob", now=NOW)
    await store.settle(await store.claim(younger.id, now=NOW), "sent", provider_id="p1")
    await merged(store)
    claim = await store.claim(older.id, now=NOW)
    assert (claim.decision, claim.status, claim.reason) == (
        "settled",
        "skipped",
        "sent before the contacts were merged",
    )


async def test_a_message_that_waits_is_not_sent_where_the_other_run_has_sent_it(store: StoreCalls) -> None:
    await store.publish(WELCOME)
    await store.contact("ann")
    await store.contact("bob")
    older = await store.enrolled("welcome", "ann", now=NOW - DAY)
    assert (await store.hold_back(older.id)).decision == "deferred"
    younger = await store.enrolled("welcome", "bob", now=NOW)
    await store.settle(await store.claim(younger.id, now=NOW), "sent", provider_id="p1")
    await merged(store)
    assert (await store.claim(older.id)).status == "skipped"


async def test_the_re_entry_rule_counts_from_the_end_that_was_last(store: StoreCalls) -> None:
    await store.publish(WELCOME.replace("steps:", "reentry: {after: 10d}\nsteps:", 1))
    await store.contact("ann")
    await store.contact("bob")
    for contact_id, ended in (("ann", NOW - 20 * DAY), ("bob", NOW - DAY)):
        await store.close((await store.enrolled("welcome", contact_id, now=NOW - 30 * DAY)).id, now=ended)
    await merged(store)
    assert (await store.enroll("welcome", "ann", now=NOW)).refusal == "reentry"
    assert (await store.enroll("welcome", "ann", now=NOW + 10 * DAY)).outcome == "created"


async def test_a_run_that_came_with_the_merged_id_ends_when_the_contact_begins_anew(store: StoreCalls) -> None:
    """The new run has another workflow id, so its start cannot end the old one: it is told to end."""
    await store.publish(TRIAL.replace("reentry: always", "reentry: {restart: true}"))
    await store.contact("ann")
    await store.contact("bob")
    old = await store.enrolled("trial", "bob")
    await merged(store)
    assert (await store.happen("trial.started", "ann", plan="team")).enrolled == 1
    assert await store.waiting("end") == [("end", {"reason": "restarted"})]
    found = await store.rows(
        "SELECT id::text, workflow_id, slot, exit_reached_at FROM enrollment ORDER BY created_at, id"
    )
    assert [row.workflow_id for row in found] == ["nurture/trial/bob", "nurture/trial/ann"]
    assert (found[0].slot, found[1].slot) == (old.id, "") and found[0].exit_reached_at is not None


async def test_a_goal_that_the_other_id_reached_ends_the_live_run(store: StoreCalls) -> None:
    await store.publish(TRIAL)
    await store.contact("ann")
    await store.contact("bob")
    run = await store.enrolled("trial", "ann", now=NOW - DAY)
    bought = Event("bought", "bob", "subscription.started", {"amount": 5}, NOW - timedelta(hours=1))
    await store.accept(bought)
    assert await store.waiting("event") == []
    await merged(store)
    assert [payload["matches"] for _, payload in await store.waiting("event")] == [["goal"]]
    assert (await store.claim(run.id, now=NOW)).reason == "goal"


async def test_an_event_from_before_the_run_is_not_told(store: StoreCalls) -> None:
    await store.publish(TRIAL)
    await store.contact("ann")
    await store.contact("bob")
    await store.enrolled("trial", "ann", now=NOW)
    await store.accept(Event("bought", "bob", "subscription.started", {"amount": 5}, NOW - DAY))
    await merged(store)
    assert await store.waiting("event") == []


async def test_runs_that_wait_for_an_attribute_hear_that_it_came_or_changed(store: StoreCalls) -> None:
    await store.publish(TRIAL)
    await store.contact("ann", attributes={"renewal_date": "2026-05-01"})
    await store.contact("bob", attributes={"renewal_date": "2026-06-01"})
    run = await store.enrolled("trial", "bob")
    await merged(store)
    told = await store.rows("SELECT enrollment_id::text AS run, payload FROM outbox WHERE kind = 'attributes'")
    assert [(row.run, row.payload["names"]) for row in told] == [(run.id, ["renewal_date"])]


@pytest.mark.parametrize(
    ("own", "other", "holds"),
    [
        ("granted", "granted", "granted"),
        ("granted", "withdrawn", "withdrawn"),
        ("withdrawn", "granted", "withdrawn"),
        ("granted", "pending", "pending"),
        ("pending", "granted", "pending"),
        ("granted", None, "granted"),
        (None, "withdrawn", "withdrawn"),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
async def test_of_two_consents_the_stricter_holds_whichever_came_last(
    store: StoreCalls, own: str | None, other: str | None, holds: str, order: int
) -> None:
    for contact_id, status, at in (("ann", own, NOW - DAY), ("bob", other, NOW - DAY + order * timedelta(hours=1))):
        await store.contact(contact_id)
        if status:
            await tell(store, Change("email", "news", status, "form", at=at), contact_id=contact_id)  # type: ignore[arg-type]
    before = await facts(store)
    await merged(store)
    found = await store.rows("SELECT contact_id, status FROM consent")
    assert [(row.contact_id, row.status) for row in found] == [("ann", holds)]
    await unmerged(store)
    assert await facts(store) == before


async def test_a_suppression_about_the_person_holds_for_the_survivors_address(store: StoreCalls) -> None:
    await store.contact("ann", phone="+15005550001")
    await store.contact("bob", phone="+15005550002")
    async with store.db.transaction() as tx:
        await suppressions.add(tx, "email", "bob@acme.test", "complained", NOW - DAY)
        await suppressions.add(tx, "sms", "+15005550002", "bounced", NOW - DAY)
    before = await facts(store)
    await merged(store)
    async with store.db.transaction() as tx:
        found = await suppressions.find(tx, "email", "ann@acme.test")
        assert found is not None and found.reason == "complained"
        assert await suppressions.find(tx, "sms", "+15005550001") is None
    await unmerged(store)
    assert await facts(store) == before


async def test_the_crms_card_is_filled_and_notes_move(store: StoreCalls) -> None:
    await store.contact("ann")
    await store.contact("bob")
    async with store.db.transaction() as tx:
        await crm.apply(tx, "ann", "k1", stage="lead", fields={"size": 5})
        await crm.apply(tx, "bob", "k2", stage="won", fields={"size": 9, "city": "Bern"}, note="called")
    before = await facts(store)
    await merged(store)
    async with store.db.transaction() as tx:
        card = await crm.get(tx, "ann")
        assert card is not None and (card.stage, card.fields) == ("lead", {"size": 5, "city": "Bern"})
        assert [note.body for note in card.notes] == ["called"]
        assert await crm.get(tx, "bob") is None
    await unmerged(store)
    assert await facts(store) == before


async def test_merging_again_with_itself_or_in_a_circle_changes_nothing(store: StoreCalls) -> None:
    await store.contact("ann")
    await store.contact("bob")
    assert (await merged(store, "ann", "ann")).outcome == "one_already"
    await merged(store)
    before = await facts(store)
    for into, from_ in (("ann", "bob"), ("bob", "ann"), ("bob", "bob")):
        assert (await merged(store, into, from_)).outcome == "one_already"
    assert await facts(store) == before


async def test_a_chain_of_merges_leads_to_the_last_and_is_undone_from_its_end(store: StoreCalls) -> None:
    for contact_id in ("ann", "bob", "cid"):
        await store.contact(contact_id)
        await store.happen("seen", contact_id, event_id=f"e-{contact_id}")
    before = await facts(store)
    await merged(store, "bob", "cid")
    half = await facts(store)
    await merged(store, "ann", "bob")
    assert {row.contact_id for row in await store.rows("SELECT contact_id FROM event")} == {"ann"}
    assert (await store.happen("seen", "cid", event_id="later")).merged_into == "ann"
    await store.rows("DELETE FROM event WHERE event_id = 'later' RETURNING 1")
    blocked = await unmerged(store, "bob", "cid")
    assert (blocked.outcome, blocked.blocking) == ("later_first", "bob")
    assert (await unmerged(store, "ann", "bob")).outcome == "unmerged"
    assert await facts(store) == half
    assert (await unmerged(store, "bob", "cid")).outcome == "unmerged"
    assert await facts(store) == before


async def test_an_unknown_or_erased_contact_is_not_merged_but_an_id_can_be_reserved(store: StoreCalls) -> None:
    await store.contact("ann")
    assert (await merged(store, "ann", "nobody")).outcome == "no_merged"
    assert (await merged(store, "nobody", "ann")).outcome == "no_survivor"
    assert (await merged(store, "ann", "nobody", reserve=True)).outcome == "merged"
    assert (await store.happen("seen", "nobody")).merged_into == "ann"
    await store.contact("gone")
    async with store.db.transaction() as tx:
        await erasure.erase(tx, "gone", now=NOW)
    assert (await merged(store, "ann", "gone", reserve=True)).outcome == "erased"


async def test_erasing_the_survivor_by_either_id_erases_what_was_kept_of_the_merged_one(store: StoreCalls) -> None:
    await store.contact("ann", attributes={"name": "Secretname"})
    await store.contact("bob", email="secret@bob.test", attributes={"name": "Othername"})
    await merged(store)
    async with store.db.transaction() as tx:
        gone = await erasure.erase(tx, "bob", now=NOW)
    assert gone == erasure.Erased(existed=True, ended=0, merged_into="ann")
    for (table,) in await store.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"):
        for (row,) in await store.rows(f"SELECT row_to_json(t)::text FROM {table} t"):
            assert not any(secret in row for secret in ("Secretname", "Othername", "bob.test", "acme.test")), (
                table,
                row,
            )
    for contact_id in ("ann", "bob"):
        assert await store.happen("seen", contact_id, event_id=f"e-{contact_id}") == Accepted(erased=True)
    assert (await unmerged(store)).outcome == "not_merged"
    async with store.db.transaction() as tx:
        found = await suppressions.find(tx, "email", "secret@bob.test")
    assert found is not None and found.reason == "erased"


async def test_after_thirty_days_the_copy_is_deleted_and_the_merge_stays(store: StoreCalls) -> None:
    await store.contact("ann")
    await store.contact("bob", email="secret@bob.test")
    await merged(store)
    async with store.db.transaction() as tx:
        assert await merge_records.prune(tx, NOW + 29 * DAY) == 0
        assert await merge_records.prune(tx, NOW + 31 * DAY) == 1
        assert await merge_records.prune(tx, NOW + 31 * DAY) == 0
    assert (await unmerged(store, now=NOW + 31 * DAY)).outcome == "too_late"
    kept = await store.rows("SELECT row_to_json(m)::text AS row FROM contact_merge m")
    assert len(kept) == 1 and "secret" not in kept[0].row
    assert await store.rows("SELECT 1 FROM merge_moved") == []
    assert (await store.happen("seen", "bob")).merged_into == "ann"


async def test_a_contact_with_very_many_events_is_merged_only_as_the_survivor(
    store: StoreCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "MOST_EVENTS", 2)
    for name in ("ann", "bob"):
        await store.contact(name)
    for number in range(3):
        await store.happen("seen", "bob", event_id=f"e{number}")
    assert (await merged(store)).outcome == "too_large"
    assert (await merged(store, "bob", "ann")).outcome == "merged"
