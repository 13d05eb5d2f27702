"""What people change in HubSpot: in any order and repeated, before or after the contact is known, told once."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.people import contacts, erasure, privacy_requests
from store.people.hubspot import applying, objects, own_writes, waiting
from store.people.hubspot.applying import Applied
from store.people.hubspot.hubspot_change import Change, Moment, Properties
from store.people.hubspot.own_writes import Written
from store.runs import drop_counts
from tests.store.store_calls import NOW, StoreCalls

PROPERTIES = Properties({"lifecyclestage": "crm_stage", "seats": "seats"}, "our_id")
_TURNS = count()


def at(second: float) -> datetime:
    return NOW + timedelta(seconds=second)


def change(number: int, name: str, value: str | None, *, second: float | None = None, **more: Any) -> Change:
    """The change with that number; a second later than the one before, unless it says otherwise."""
    moment = Moment(at(number if second is None else second), f"hubspot:1:{number}")
    return Change(moment, more.pop("object_id", "101"), name, value, **more)


async def apply(store: StoreCalls, *changes: Change, now: datetime = NOW + timedelta(seconds=10)) -> Applied:
    async with store.db.transaction() as tx:
        return await applying.apply(tx, changes[0].object_id, changes, PROPERTIES, now=now)


async def settle(store: StoreCalls) -> int:
    """As the job of the workers."""
    async with store.db.transaction() as tx:
        found = await objects.matched_by_now(tx, 10)
    told = 0
    for one in found:
        async with store.db.transaction() as tx:
            told += len((await applying.settle(tx, one, PROPERTIES, now=at(10))).accepted)
    return told


async def attributes(store: StoreCalls, contact_id: str = "ann") -> dict[str, Any]:
    async with store.db.transaction() as tx:
        found = await contacts.get(tx, contact_id)
    assert found is not None
    return dict(found.attributes or {})


async def told(store: StoreCalls) -> list[tuple[str, Any, Any]]:
    found = await store.rows("SELECT name, properties FROM event WHERE name LIKE 'crm.%' ORDER BY occurred_at")
    return [(row.name, row.properties.get("from"), row.properties.get("to")) for row in found]


values = st.sampled_from(["lead", "customer", "evangelist", None])
histories = st.lists(
    st.tuples(st.sampled_from(["lifecyclestage", "seats"]), values, st.integers(0, 5), st.booleans()),
    min_size=1,
    max_size=7,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories, data=st.data())
async def test_any_order_and_repetition_of_batches_gives_the_same_attributes(
    store: StoreCalls, history: list[tuple[str, str | None, int, bool]], data: st.DataObject
) -> None:
    who, one = f"ann-{(turn := next(_TURNS))}", f"object-{turn}"
    changes = [
        Change(Moment(at(second), f"hubspot:{turn}:{number}"), one, name, value, own)
        for number, (name, value, second, own) in enumerate(history)
    ]
    known = Change(Moment(at(0), f"hubspot:{turn}:email"), one, "email", f"{who}@acme.test")
    sent = data.draw(st.lists(st.sampled_from([known, *changes]), max_size=12))
    sent = data.draw(st.permutations([known, *changes, *sent]))
    appears = data.draw(st.integers(0, len(sent)))
    while sent:
        if appears <= 0:
            await store.contact(who)
        size = data.draw(st.integers(1, len(sent)))
        await apply(store, *sent[:size], now=at(10))
        sent, appears = sent[size:], appears - size
    await store.contact(who)
    await settle(store)
    newest = {each.name: each for each in sorted(changes, key=lambda each: each.moment)}
    wanted = {PROPERTIES.attributes[name]: each.value for name, each in newest.items() if each.value is not None}
    assert await attributes(store, who) == wanted
    counted = await store.rows("SELECT properties FROM event WHERE contact_id = :who", who=who)
    persons = {each.moment.event_id for each in changes if not each.own}
    assert len(counted) <= len(persons)


async def test_each_change_is_told_once_and_an_older_one_not_at_all(store: StoreCalls) -> None:
    await store.contact()
    who = change(0, "email", "ANN@acme.test")
    lead, customer = change(1, "lifecyclestage", "lead"), change(3, "lifecyclestage", "customer")
    late, same = change(2, "lifecyclestage", "opportunity"), change(4, "lifecyclestage", "customer")
    counts = [(await apply(store, *batch)).counts for batch in ([lead, who], [customer], [late], [same], [lead])]
    assert [+one for one in counts] == [
        {"told": 1},
        {"told": 1},
        {"overtaken": 1},
        {"unchanged": 1},
        {"overtaken": 1},
    ]
    assert await told(store) == [("crm.stage_changed", None, "lead"), ("crm.stage_changed", "lead", "customer")]
    assert await attributes(store) == {"crm_stage": "customer"}
    async with store.db.transaction() as tx:
        assert drop_counts.Drop("overtaken", "hubspot", None, 2) in await drop_counts.totals(tx)


async def test_a_property_that_is_not_mapped_is_counted_by_its_name_and_keeps_nothing(store: StoreCalls) -> None:
    assert (await apply(store, change(1, "favorite_colour", "blue"))).counts == {"unmapped": 1}
    assert await store.rows("SELECT 1 FROM hubspot_contact UNION ALL SELECT 1 FROM hubspot_waiting") == []
    async with store.db.transaction() as tx:
        assert await drop_counts.totals(tx) == [drop_counts.Drop("unmapped", "hubspot", "favorite_colour", 1)]


async def test_changes_wait_for_the_contact_who_may_be_named_by_id_or_by_address(store: StoreCalls) -> None:
    await apply(store, change(1, "lifecyclestage", "lead"), change(2, "our_id", "bob"))
    await apply(
        store,
        change(3, "seats", "5", object_id="102"),
        change(4, "email", "ann@acme.test", object_id="102"),
    )
    assert await settle(store) == 0
    await store.contact("ann")
    await store.contact("bob", email="other@acme.test")
    assert await settle(store) == 2
    assert (await attributes(store), await attributes(store, "bob")) == ({"seats": "5"}, {"crm_stage": "lead"})
    assert await settle(store) == 0
    assert await store.rows("SELECT 1 FROM hubspot_waiting") == []


async def test_what_a_step_wrote_is_not_told_and_a_persons_change_after_it_is(store: StoreCalls) -> None:
    await store.contact(email=None)
    echo = change(2, "lifecyclestage", "lead", second=2.5, own=True)
    early = Change(Moment(at(2.6), "hubspot:task:1"), "555", "hs_task_status", "COMPLETED", kind="task")
    async with store.db.transaction() as tx:
        assert (await applying.complete_task(tx, early, now=at(10))).counts == {"waiting": 1}
        written = Written("101", at(2), {"lifecyclestage": "lead", "unmapped": "x"}, "555")
        await own_writes.record(tx, "ann", "run-1/hot/1", written, PROPERTIES, now=at(10))
    assert (await attributes(store), await told(store)) == ({"crm_stage": "lead"}, [("crm.task_completed", None, None)])
    assert +(await apply(store, echo)).counts == {"unchanged": 1}
    assert +(await apply(store, change(3, "lifecyclestage", "customer"))).counts == {"told": 1}
    back = change(4, "lifecyclestage", "lead")  # what we wrote last, but it is a person who goes back to it
    assert +(await apply(store, back)).counts == {"told": 1}
    ((properties,),) = await store.rows("SELECT properties FROM event WHERE name = 'crm.task_completed'")
    assert properties == {
        "task": "555",
        "outcome": "done",
        "enrollment_id": "run-1",
        "step": "hot",
        "source": "hubspot",
    }
    async with store.db.transaction() as tx:
        assert (await applying.complete_task(tx, early, now=at(10))).accepted[0].duplicate


async def test_an_erased_person_leaves_nothing_and_is_not_made_anew(store: StoreCalls) -> None:
    await store.contact()
    who = change(0, "email", "ann@acme.test")
    await apply(store, who, change(1, "lifecyclestage", "lead"))
    async with store.db.transaction() as tx:
        await own_writes.record(tx, "ann", "k", Written("101", at(2), {}, "555"), PROPERTIES, now=at(10))
        await erasure.erase(tx, "ann", now=at(10))
    tables = ("hubspot_contact", "hubspot_property", "hubspot_task", "hubspot_waiting", "contact")
    for _ in range(2):
        assert [await store.rows(f"SELECT 1 FROM {table}") for table in tables] == [[]] * 5
        assert (await apply(store, who, change(3, "lifecyclestage", "lead"))).counts["erased"] == 1


async def test_a_privacy_deletion_in_hubspot_erases_the_person_here(store: StoreCalls) -> None:
    await store.contact()
    await apply(store, change(0, "email", "ann@acme.test"), change(1, "lifecyclestage", "lead"))
    await apply(store, change(2, "lifecyclestage", "lead", object_id="102"))
    async with store.db.transaction() as tx:
        assert await privacy_requests.erase_of_hubspot(tx, "101")
        assert not await privacy_requests.erase_of_hubspot(tx, "102")
        assert not await privacy_requests.erase_of_hubspot(tx, "103")
    tables = ("hubspot_contact", "hubspot_property", "hubspot_waiting", "contact")
    assert [await store.rows(f"SELECT 1 FROM {table}") for table in tables] == [[]] * 4


async def test_a_deletion_is_told_and_the_contact_stays(store: StoreCalls) -> None:
    await store.contact()
    await apply(store, change(0, "email", "ann@acme.test"), change(1, "lifecyclestage", "lead"))
    async with store.db.transaction() as tx:
        for _ in range(2):
            await applying.note_deletion(tx, "101", Moment(at(2), "hubspot:1:2"), now=at(10))
        unknown = await applying.note_deletion(tx, "999", Moment(at(2), "hubspot:1:3"), now=at(10))
    assert unknown.counts == {"not-ours": 1}
    assert await told(store) == [("crm.stage_changed", None, "lead"), ("crm.contact_deleted", None, None)]
    assert await attributes(store) == {"crm_stage": "lead"}


async def test_values_have_the_type_that_is_named_for_them_and_others_are_no_values(store: StoreCalls) -> None:
    await store.contact()
    written = {"seats": "seats:number", "member": "member:bool", "renews": "renewal_date:date", "seen": "seen:datetime"}
    properties = Properties.written({**written, "lifecyclestage": "crm_stage"}, "our_id")
    said = {
        "seats": ("5", 5),
        "member": ("true", True),
        "renews": ("1795824000000", "2026-11-28"),
        "seen": ("2026-11-28T12:00:00.5Z", "2026-11-28T12:00:00.500000+00:00"),
        "lifecyclestage": ("7", "7"),
    }
    changes = [change(number, name, text) for number, (name, (text, _)) in enumerate(said.items())]
    async with store.db.transaction() as tx:
        await applying.apply(tx, "101", [change(9, "email", "ann@acme.test"), *changes], properties, now=at(10))
    wanted = {properties.attributes[name]: value for name, (_, value) in said.items()}
    assert await attributes(store) == wanted
    assert {to for _, _, to in await told(store)} == set(wanted.values())
    wrong = {"seats": "many", "member": "perhaps", "renews": "soon", "seen": "9" * 30}
    changes = [change(20 + number, name, text) for number, (name, text) in enumerate(wrong.items())]
    async with store.db.transaction() as tx:
        await applying.apply(tx, "101", changes, properties, now=at(60))
        counted = {drop.track for drop in await drop_counts.totals(tx) if drop.reason == "mistyped"}
    assert await attributes(store) == {"crm_stage": "7"} and counted == wrong.keys()


async def test_what_a_salesperson_says_of_a_task_is_told_and_its_completion_says_nothing_more(
    store: StoreCalls,
) -> None:
    await store.contact()
    async with store.db.transaction() as tx:
        await own_writes.record(tx, "ann", "run/hot/1", Written("101", at(2), {}, "555"), PROPERTIES, now=at(10))
        outcome = Change(Moment(at(3), "t1"), "555", "perennial_outcome", "rejected:no-budget", kind="task")
        completed = Change(Moment(at(3), "t2"), "555", "hs_task_status", "COMPLETED", kind="task")
        assert (await applying.complete_task(tx, outcome, now=at(10))).counts == {"told": 1}
        assert (await applying.complete_task(tx, completed, now=at(10))).counts == {"unchanged": 1}
    ((properties,),) = await store.rows("SELECT properties FROM event WHERE name = 'crm.task_completed'")
    assert (properties["outcome"], properties["reason"]) == ("rejected", "no-budget")


async def test_what_waits_too_long_or_is_too_much_is_given_up_and_counted(
    store: StoreCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MOST", 2)
    for number in range(4):
        await apply(store, change(number, "seats", "1", object_id=f"o{number}"), now=at(number))
    task = Change(Moment(NOW, "t"), "9", "hs_task_status", "COMPLETED", kind="task")
    async with store.db.transaction() as tx:
        assert await applying.give_up(tx, at(10)) == 2
        await applying.complete_task(tx, task, now=at(10))
        assert await applying.give_up(tx, at(10) + waiting.TASK_KEPT) == 0
        assert await applying.give_up(tx, at(10) + waiting.KEPT) == 2
        assert drop_counts.Drop("unmatched", "hubspot", None, 4) in await drop_counts.totals(tx)
    assert await store.rows("SELECT 1 FROM hubspot_contact UNION ALL SELECT 1 FROM hubspot_waiting") == []
