from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from store.runs import drop_counts
from store.runs.drop_counts import Drop
from store.runs.enrollments.enrolling_by_event import NotEnrolled
from store.runs.events.events import Accepted, Event, accept
from tests.store.store_calls import NOW, TRIAL, WELCOME, StoreCalls


async def test_event_of_a_live_run_writes_one_row_with_only_the_properties_conditions_read(store: StoreCalls) -> None:
    run = await store.live(TRIAL)
    accepted = await store.happen("email.clicked", step="hello", link="pricing", secret="kept out")
    assert accepted == Accepted(matched=1)
    assert await store.waiting("event") == [
        (
            "event",
            {
                "event_id": "e1",
                "name": "email.clicked",
                "at": "2026-03-02T09:00:00Z",
                "matches": ["step:clicked"],
                "properties": {"link": "pricing"},
            },
        )
    ]
    assert run.goal_reached_at is None


async def test_event_that_no_step_can_react_to_writes_nothing(store: StoreCalls) -> None:
    await store.live(TRIAL)
    assert await store.happen("email.clicked", step="another") == Accepted()
    assert await store.happen("page.viewed", event_id="e2") == Accepted()
    assert await store.waiting("event") == []


async def test_same_event_posted_twice_at_once_is_told_once(store: StoreCalls) -> None:
    await store.live(TRIAL)
    answers = await asyncio.gather(*(store.happen("email.clicked", step="hello") for _ in range(8)))
    assert sorted(a.duplicate for a in answers) == [False] + [True] * 7
    assert len(await store.waiting("event")) == 1


async def test_entry_event_enrolls_and_a_later_event_of_the_same_batch_reaches_the_new_run(store: StoreCalls) -> None:
    await store.publish(WELCOME, TRIAL)
    answers = await store.accept(
        Event("1", "ann", "email.clicked", {"step": "hello"}),
        Event("2", "ann", "trial.started", {"plan": "team"}),
        Event("3", "ann", "email.clicked", {"step": "hello"}),
        Event("4", "bob", "trial.started", {"plan": "enterprise"}),
        Event("2", "ann", "trial.started", {"plan": "team"}),
    )
    assert answers == [
        Accepted(),
        Accepted(enrolled=1),
        Accepted(matched=1),
        Accepted(not_enrolled=(NotEnrolled("trial", "condition"),)),
        Accepted(duplicate=True),
    ]
    assert [kind for kind, _ in await store.waiting()] == ["start", "event"]


async def test_goal_and_exit_are_marked_at_once(store: StoreCalls) -> None:
    await store.live(TRIAL)
    assert await store.happen("subscription.started", amount=0) == Accepted()
    assert await store.happen("subscription.started", event_id="e2", amount=5) == Accepted(matched=1)
    await store.live(TRIAL, "bob")
    assert await store.happen("account.closed", "bob", event_id="e3") == Accepted(matched=1)
    marks = await store.rows("SELECT goal_reached_at, exit_reached_at FROM enrollment ORDER BY id")
    assert [tuple(row) for row in marks] == [(NOW, None), (None, NOW)]
    assert [payload["matches"] for _, payload in await store.waiting("event")] == [["goal"], ["exit:account-closed"]]


async def test_ended_runs_and_other_contacts_hear_nothing(store: StoreCalls) -> None:
    run = await store.live(TRIAL)
    await store.live(TRIAL, "bob")
    await store.close(run.id)
    assert await store.happen("account.closed") == Accepted()
    assert await store.happen("account.closed", "carol", event_id="e2") == Accepted()


async def test_conditions_live_on_the_clock_of_the_run(store: StoreCalls) -> None:
    """Two real seconds after the start, a run paced at a day a second is two days old."""
    document = """
track: paced
goal: {event: bought, where: 'now - event.at == duration("86400s") && event.at > timestamp("2026-03-03T00:00:00Z")'}
steps:
  - id: pause
    wait: 9d
"""
    await store.live(document, pace=86400.0)
    event = Event("e1", "ann", "bought", occurred_at=NOW + timedelta(seconds=1))
    assert await store.accept(event, now=NOW + timedelta(seconds=2)) == [Accepted(matched=1)]
    [(_, payload)] = await store.waiting("event")
    assert payload["at"] == "2026-03-02T09:00:01Z"


async def test_condition_sees_contact_and_enrollment(store: StoreCalls) -> None:
    document = """
track: cart
reentry: {per: cart_id}
goal:
  event: bought
  where: >-
    event.properties.cart == enrollment.properties.cart_id && enrollment.track == "cart" && enrollment.version == 1
    && contact.attributes.role == "dev" && contact.has_email
steps:
  - id: pause
    wait: 9d
"""
    await store.publish(document)
    await store.contact(attributes={"role": "dev"})
    for cart in ("c1", "c2"):
        await store.enrolled("cart", properties={"cart_id": cart})
    assert await store.happen("bought", cart="c2") == Accepted(matched=1)
    [row] = await store.rows("SELECT key FROM enrollment WHERE goal_reached_at IS NOT NULL")
    assert row.key == "c2"


async def test_condition_over_too_much_data_is_false_for_that_event_and_counted(store: StoreCalls) -> None:
    await store.live(TRIAL)
    accepted = await store.accept(
        Event("1", "ann", "subscription.started", {"amount": 5, "huge": "x" * 200_000}),
        Event("2", "ann", "email.clicked", {"step": "hello"}),
    )
    assert accepted == [Accepted(), Accepted(matched=1)]
    async with store.db.transaction() as tx:
        assert await drop_counts.totals(tx) == [Drop("condition", "event", "trial")]


async def test_a_condition_that_met_what_it_could_not_compute_is_counted_with_why(store: StoreCalls) -> None:
    await store.live(TRIAL)  # amount > 0
    accepted = await store.accept(
        Event("1", "ann", "subscription.started", {"amount": "100.00"}),  # shops send totals as text
        Event("2", "ann", "subscription.started", {}),  # conditions test for missing properties
        Event("3", "ann", "trial.started", {"plan": "enterprise"}),
    )
    assert [answer.matched for answer in accepted] == [0, 0, 0]
    async with store.db.transaction() as tx:
        assert await drop_counts.totals(tx) == [
            Drop("condition", "entry", "trial"),  # the third started no run
            Drop("condition: type", "event", "trial"),
        ]


async def test_a_condition_that_would_take_too_much_work_is_false_and_counted(store: StoreCalls) -> None:
    where = "event.properties.items.filter(i, i.price > 100).size() > 2"
    await store.live(TRIAL.replace("event.properties.amount > 0", where))
    items = [{"price": 200} for _ in range(1_600)]
    accepted = await store.accept(
        Event("1", "ann", "subscription.started", {"items": items}),
        Event("2", "ann", "subscription.started", {"items": items[:9]}),
    )
    assert accepted == [Accepted(), Accepted(matched=1)]
    async with store.db.transaction() as tx:
        assert await drop_counts.totals(tx) == [Drop("condition", "event", "trial")]


async def test_event_of_someone_unknown_makes_a_contact_without_an_address(store: StoreCalls) -> None:
    answers = await asyncio.gather(*(store.happen("page.viewed", event_id=f"e{n}") for n in range(8)))
    assert answers == [Accepted()] * 8
    [row] = await store.rows("SELECT id, email FROM contact")
    assert tuple(row) == ("ann", None)
    assert len(await store.rows("SELECT 1 FROM event")) == 8


async def test_duplicates_are_counted(store: StoreCalls) -> None:
    await store.accept(*(Event("1", "ann", "page.viewed") for _ in range(3)))
    await store.happen("page.viewed", event_id="1")
    async with store.db.transaction() as tx:
        assert await drop_counts.totals(tx) == [Drop("duplicate", "event", count=3)]


async def test_racing_batches_in_opposite_orders_neither_deadlock_nor_double(store: StoreCalls) -> None:
    """A third sender of the event in the middle delays both until each has done its half."""
    await store.publish(TRIAL)
    events = [Event(f"e{n}", f"c{n}", "trial.started", {"plan": "team"}) for n in range(10, 31)]
    await store.accept(*(replace(event, event_id=f"x{event.event_id}", name="page.viewed") for event in events))
    async with store.db.transaction() as tx:
        await accept(tx, events[10], now=NOW)
        racing = asyncio.gather(store.accept(*events), store.accept(*events[::-1]))
        await asyncio.sleep(0.2)
        await tx.rollback()
    answers = [answer for each in await racing for answer in each]
    assert sum(a.enrolled for a in answers) == sum(a.duplicate for a in answers) == 21
    assert len(await store.waiting("start")) == 21


async def test_events_of_a_batch_are_told_in_their_order(store: StoreCalls) -> None:
    await store.live(TRIAL)
    await store.accept(*(Event(f"{9 - n}", "ann", "email.clicked", {"step": "hello"}) for n in range(9)))
    told = [payload["event_id"] for _, payload in await store.waiting("event")]
    assert told == [str(9 - n) for n in range(9)]


async def test_event_and_its_deliveries_are_one(store: StoreCalls) -> None:
    """A failure after the event is stored rolls the event back too, so that the sender's retry counts."""
    await store.live(TRIAL)

    async def accept_and_die() -> None:
        async with store.db.transaction() as tx:
            await accept(tx, Event("e1", "ann", "account.closed"), now=NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await accept_and_die()
    assert await store.waiting("event") == []
    assert await store.happen("account.closed") == Accepted(matched=1)


ASK = """
track: {name}
steps:
  - id: ask
    sms: {{text: 'Shall we call?', from: '+15005550006'}}
  - id: answer
    wait_for: {{event: sms.replied, of: ask, within: 2d}}
"""


async def test_a_wait_of_one_message_hears_nothing_about_any_other(store: StoreCalls) -> None:
    run = await store.live(ASK.format(name="first"))
    await store.publish(ASK.format(name="second"))
    other = await store.enrolled("second")
    about = {"step": "ask", "enrollment_id": run.id}
    assert await store.happen("sms.replied", event_id="e1", **about) == Accepted(matched=1)
    assert [payload["matches"] for _, payload in await store.waiting("event")] == [["step:answer"]]
    for number, others in enumerate(
        [{}, {"step": "ask"}, {"step": "other", "enrollment_id": run.id}, {"step": "ask", "enrollment_id": "nobody"}]
    ):
        assert await store.happen("sms.replied", event_id=f"other-{number}", **others) == Accepted()
    assert await store.happen("sms.replied", event_id="e2", step="ask", enrollment_id=other.id) == Accepted(matched=1)
