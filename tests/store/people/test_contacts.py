from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.engine.ids import new_id
from store.people import contacts, crm, erasure, suppressions
from store.runs.enrolling import Enrolled
from store.runs.events import Accepted
from tests.store.scene import NOW, TRIAL, WELCOME, Scene

QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


async def upsert(scene: Scene, changes: contacts.Changes, *, replace: bool = False) -> contacts.Upserted:
    async with scene.db.transaction() as tx:
        return await contacts.upsert(tx, "ann", changes, replace=replace, now=NOW)


async def erase(scene: Scene, contact_id: str = "ann") -> erasure.Erased:
    async with scene.db.transaction() as tx:
        return await erasure.erase(tx, contact_id, now=NOW)


async def test_what_is_not_named_stays_and_none_removes(scene: Scene) -> None:
    first = await upsert(scene, {"email": "a@acme.test", "locale": "de", "attributes": {"role": "dev", "n": 1}})
    assert (first.created, first.changed) == (True, frozenset({"role", "n"}))
    second = await upsert(scene, {"locale": None, "attributes": {"n": None, "m": [1]}})
    assert (second.created, second.changed) == (False, frozenset({"n", "m"}))
    contact = second.contact
    assert (contact.email, contact.locale, contact.attributes) == ("a@acme.test", None, {"role": "dev", "m": [1]})


async def test_replacing_removes_what_is_not_named(scene: Scene) -> None:
    await upsert(scene, {"email": "a@acme.test", "attributes": {"role": "dev"}})
    contact = (await upsert(scene, {"phone": "+15005550006"}, replace=True)).contact
    assert (contact.email, contact.phone, contact.attributes) == (None, "+15005550006", {})


async def test_racing_changes_of_a_new_contact_are_all_kept(scene: Scene) -> None:
    results = await asyncio.gather(*(upsert(scene, {"attributes": {f"a{n}": n}}) for n in range(12)))
    assert sum(r.created for r in results) == 1
    async with scene.db.transaction() as tx:
        contact = await contacts.get(tx, "ann")
    assert contact is not None
    assert contact.attributes == {f"a{n}": n for n in range(12)}


async def test_only_runs_that_wait_on_a_changed_attribute_are_told(scene: Scene) -> None:
    waiting = await scene.live(TRIAL)
    await scene.live(WELCOME)
    await upsert(scene, {"attributes": {"renewal_date": "2026-06-01", "role": "dev"}})
    await upsert(scene, {"attributes": {"renewal_date": "2026-06-01", "role": "lead"}})
    [(_, payload)] = await scene.waiting("attributes")
    assert payload["names"] == ["renewal_date"]
    [row] = await scene.rows("SELECT enrollment_id FROM outbox WHERE kind = 'attributes'")
    assert row.enrollment_id == waiting.id


values = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([1.0, "", "x"]), st.just([1]))


@settings(max_examples=30, deadline=None, suppress_health_check=QUIET)
@given(
    changes=st.lists(
        st.tuples(st.sampled_from("ab"), st.dictionaries(st.sampled_from("xyz"), values), st.booleans()), max_size=6
    ),
    replace=st.booleans(),
)
async def test_batch_does_what_its_items_do_one_by_one(
    scene: Scene, changes: list[tuple[str, dict[str, Any], bool]], replace: bool
) -> None:
    ends = []
    for together in (True, False):
        prefix = new_id()
        items: list[tuple[str, contacts.Changes]] = [
            (prefix + who, {"attributes": attributes, **({"locale": "de"} if locale else {})})
            for who, attributes, locale in changes
        ]
        results: list[contacts.Upserted] = []
        for group in [items] if together else [[item] for item in items]:
            async with scene.db.transaction() as tx:
                results += await contacts.upsert_many(tx, group, replace=replace, now=NOW)
        rows = await scene.rows(
            "SELECT right(id, 1), locale, attributes::text FROM contact WHERE id LIKE :p ORDER BY 1", p=f"{prefix}%"
        )
        ends.append(([tuple(row) for row in rows], [(r.created, r.changed, r.contact.attributes) for r in results]))
    assert ends[0] == ends[1]


async def test_erasing_leaves_no_personal_datum_and_keeps_the_counts(scene: Scene) -> None:
    run = await scene.live(TRIAL, properties={"greeting": "Dear Secretname"})
    await upsert(scene, {"attributes": {"name": "Secretname"}, "phone": "+4915112345678"})
    claim = await scene.claim(run.id)
    async with scene.db.transaction() as tx:
        await crm.apply(tx, "ann", "k", note="Secretname called", task=crm.NewTask("Call Secretname"))
        await suppressions.add(tx, "email", "ann@acme.test", "unsubscribed")
    await scene.happen("email.clicked", step="hello", link="Secretname")
    assert await erase(scene) == erasure.Erased(existed=True, ended=1)
    for (table,) in await scene.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"):
        for (row,) in await scene.rows(f"SELECT row_to_json(t)::text FROM {table} t"):
            if table not in ("track_version",):
                assert not any(secret in row for secret in ("Secretname", "ann@acme.test", "15112345678")), (table, row)
    assert [len(await scene.rows(f"SELECT 1 FROM {t}")) for t in ("enrollment", "event", "message")] == [1, 1, 1]
    assert await scene.waiting() == [("start", {}), ("end", {"reason": "erased"})]
    assert claim.decision == "granted"
    assert await erase(scene) == erasure.Erased(existed=False, ended=1)
    assert await erase(scene, "nobody") == erasure.Erased(existed=False, ended=0)


async def test_event_of_an_erased_contact_is_dropped_until_they_are_made_anew(scene: Scene) -> None:
    await scene.live(TRIAL)
    await erase(scene)
    assert await scene.happen("email.clicked", step="hello") == Accepted(erased=True)
    await scene.contact()
    assert await scene.happen("email.clicked", event_id="e2", step="hello") == Accepted(matched=1)
    async with scene.db.transaction() as tx:
        found = await suppressions.find(tx, "email", "ann@acme.test")
    assert found is not None and found.reason == "erased"


async def test_enrollment_and_event_racing_an_erasure_leave_no_properties_behind(scene: Scene) -> None:
    """The second transaction waits. Then the contact is erased, or the erasure finds everything to erase."""
    await scene.publish(TRIAL)
    for number in range(10):
        contact_id = f"c{number}"
        await scene.contact(contact_id)
        enrolled, accepted, erased = await asyncio.gather(
            scene.enroll("trial", contact_id, properties={"name": "x"}),
            scene.happen("page.viewed", contact_id, event_id=f"e{number}", name="x"),
            erase(scene, contact_id),
        )
        assert isinstance(enrolled, Enrolled)
        assert isinstance(accepted, Accepted)
        assert erased.ended == (enrolled.outcome == "created")
    assert await scene.rows("SELECT 1 FROM enrollment WHERE properties <> '{}'") == []
    assert await scene.rows("SELECT 1 FROM event WHERE properties <> '{}'") == []


async def test_contacts_are_found_by_phone(scene: Scene) -> None:
    await scene.contact("ann", phone="+15005550006")
    await scene.contact("bob", phone="+15005550006")
    await scene.contact("cyd", phone="+15005550007")
    async with scene.db.transaction() as tx:
        assert {c.id for c in await contacts.by_phone(tx, "+15005550006")} == {"ann", "bob"}
