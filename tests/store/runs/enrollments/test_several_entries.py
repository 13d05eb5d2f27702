"""A track that is entered in several ways: each by its own rule, and one run however many of them fit."""

from __future__ import annotations

import asyncio

import pytest

from store.runs.enrollments.enrolling_by_event import NotEnrolled
from store.runs.events.events import Event
from tests.store.audience import segment_calls
from tests.store.store_calls import StoreCalls

SEVERAL = """
track: win-back
entry:
  - {event: app.deleted, where: 'event.properties.reason != "moved"'}
  - {id: at-risk, segment: churn-risk}
  - {id: big-refund, event: refund.paid, where: 'event.properties.total > 100'}
  - {event: refund.paid, unless: 'contact.attributes.plan == "free"'}
steps:
  - {id: pause, wait: 1d}
"""


async def begun_by(store: StoreCalls) -> list[str | None]:
    return [row.entry for row in await store.rows("SELECT entry FROM enrollment ORDER BY id")]


@pytest.mark.parametrize(
    ("name", "properties", "entry"),
    [
        ("app.deleted", {"reason": "price"}, "app.deleted"),
        ("app.deleted", {"reason": "moved"}, None),
        ("refund.paid", {"total": 200}, "big-refund"),
        ("refund.paid", {"total": 20}, "refund.paid"),
        ("refund.asked", {}, None),
    ],
)
async def test_each_entry_has_its_own_event_and_condition_and_the_run_knows_which_one_began_it(
    store: StoreCalls, name: str, properties: dict[str, object], entry: str | None
) -> None:
    await store.publish(SEVERAL)
    await store.contact(attributes={"plan": "team"})
    [answer] = await store.accept(Event("e1", "ann", name, properties))
    assert (answer.enrolled, await begun_by(store)) == ((1, [entry]) if entry else (0, []))


async def test_an_event_that_fits_no_entry_tells_the_gravest_reason_once(store: StoreCalls) -> None:
    await store.publish(SEVERAL)
    await store.contact(attributes={"plan": "free"})
    [answer] = await store.accept(Event("e1", "ann", "refund.paid", {"total": 20}))
    assert answer.not_enrolled == (NotEnrolled("win-back", "unless"),)
    rows = await store.rows("SELECT reason, kind, track, count FROM dropped")
    assert [tuple(row) for row in rows] == [("unless", "entry", "win-back", 1)]


async def test_an_event_that_fits_two_entries_begins_one_run_by_the_first(store: StoreCalls) -> None:
    await store.publish(SEVERAL.replace("steps:", "reentry: {restart: true}\nsteps:"))
    await store.contact(attributes={"plan": "team"})
    [answer] = await store.accept(Event("e1", "ann", "refund.paid", {"total": 200}))
    assert (answer.enrolled, await begun_by(store)) == (1, ["big-refund"])


async def test_events_of_two_entries_at_the_same_moment_begin_one_run(store: StoreCalls) -> None:
    await store.publish(SEVERAL)
    for number in range(6):
        who = f"c{number}"
        answers = await asyncio.gather(
            store.happen("app.deleted", who, event_id=f"a{number}", reason="price"),
            store.happen("refund.paid", who, event_id=f"b{number}", total=200),
        )
        assert sorted(one.enrolled for one in answers) == [0, 1]
        assert [one.reason for answer in answers for one in answer.not_enrolled] == ["live"]
    [row] = await store.rows("SELECT count(*) AS runs, count(DISTINCT contact_id) AS people FROM enrollment")
    assert (row.runs, row.people) == (6, 6)


async def test_a_segment_among_them_enrols_who_enters_it(store: StoreCalls) -> None:
    await segment_calls.live(store, "churn-risk", {"did": "payment.failed"})
    await store.publish(SEVERAL)
    await store.happen("payment.failed")
    assert await begun_by(store) == ["at-risk"]


async def test_a_new_version_is_entered_by_its_own_entries_only(store: StoreCalls) -> None:
    await store.publish(SEVERAL, SEVERAL.replace("app.deleted", "app.removed"))
    answers = await store.accept(
        Event("e1", "ann", "app.deleted", {"reason": "price"}), Event("e2", "bob", "app.removed", {"reason": "price"})
    )
    assert [one.enrolled for one in answers] == [0, 1]


async def test_a_run_that_the_api_began_has_no_entry(store: StoreCalls) -> None:
    await store.publish(SEVERAL)
    await store.contact()
    run = await store.enrolled("win-back")
    assert run.entry is None and "entry" not in run.view()
