"""Whom an event enrols. If it enrols nobody, the answer and the counts have the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.engine.ids import new_id
from store.engine.pipeline import Answer, Pipeline, Statement
from store.runs import drop_counts
from store.runs.drop_counts import Drop
from store.runs.enrollments.enrolling_by_event import REASONS, NotEnrolled, Reason
from store.runs.events.events import Accepted, Event
from tests.store.runs.enrollments.cart_events import ALWAYS, CART, LEFT, entered, track
from tests.store.runs.enrollments.test_entry_unless import UNLESS
from tests.store.store_calls import NOW, StoreCalls


@pytest.mark.parametrize(
    ("properties", "outcome"),
    [
        ({"cart_id": "cart-1"}, "enrolled"),
        ({"cart_id": 4155552671}, "enrolled"),
        ({"cart_id": "4155552671"}, "enrolled"),
        ({"cart_id": 12.0}, "enrolled"),
        ({}, "no-key"),
        ({"cart_id": None}, "no-key"),
        ({"cart_id": ""}, "no-key"),
        ({"cart_id": " "}, "no-key"),
        ({"cart_id": 12.5}, "bad-key"),
        ({"cart_id": True}, "bad-key"),
        ({"cart_id": {"id": 1}}, "bad-key"),
        ({"cart_id": ["cart-1"]}, "bad-key"),
        ({"cart_id": "k" * 129}, "bad-key"),
        ({"cart_id": "車" * 110}, "bad-key"),
        ({"cart_id": "ann@acme.test"}, "bad-key"),
        ({"cart_id": "+14155552671"}, "bad-key"),
        ({"cart_id": "(415) 555-2671"}, "bad-key"),
    ],
)
async def test_the_key_of_an_object_is_an_id_or_the_answer_says_why_not(
    store: StoreCalls, properties: dict[str, object], outcome: str
) -> None:
    await store.publish(CART)
    assert await entered(store, replace(LEFT, properties=properties)) == [outcome]
    async with store.db.transaction() as tx:
        counted = [] if outcome == "enrolled" else [Drop(outcome, "entry", "cart")]
        assert await drop_counts.totals(tx) == counted


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=140).filter(lambda text: "\0" not in text),
    st.lists(st.integers(), max_size=2),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=VALUES)
async def test_whatever_the_key_is_the_event_enrols_or_says_why_and_ids_fit(store: StoreCalls, value: object) -> None:
    await store.publish(CART)
    who = new_id()
    [answer] = await store.accept(Event(new_id(), who, "cart.left", {"cart_id": value}))
    rows = await store.rows("SELECT workflow_id FROM enrollment WHERE contact_id = :who", who=who)
    assert (answer.enrolled, answer.dropped) in {(1, None), (0, "no-key"), (0, "bad-key")}
    assert len(rows) == answer.enrolled
    assert all(len(row.workflow_id.encode()) <= 1000 for row in rows)


async def test_digits_alone_are_always_the_number_of_an_object(store: StoreCalls) -> None:
    """Nearly half of all numbers with ten digits could be somebody's telephone."""
    await store.publish(CART)
    events = [Event(f"e{n}", f"c{n}", "cart.left", {"cart_id": 2_000_000_000 + n * 7_919_777}) for n in range(200)]
    assert set(await entered(store, *events)) == {"enrolled"}


async def test_an_event_for_who_is_on_the_track_or_has_been_says_so(store: StoreCalls) -> None:
    await store.publish(CART)
    assert await entered(store, LEFT, replace(LEFT, event_id="e2")) == ["enrolled", "live"]
    [run] = await store.rows("SELECT id::text AS id FROM enrollment")
    await store.close(run.id)
    assert await entered(store, replace(LEFT, event_id="e3")) == ["reentry"]
    async with store.db.transaction() as tx:
        assert await drop_counts.totals(tx) == [Drop("live", "entry", "cart"), Drop("reentry", "entry", "cart")]


async def test_each_track_that_the_event_could_have_begun_is_named_and_the_gravest_reason_first(
    store: StoreCalls,
) -> None:
    await store.publish(CART, track(where="'false'").replace("track: cart", "track: other"))
    [answer] = await store.accept(replace(LEFT, properties={}))
    assert answer == Accepted(not_enrolled=(NotEnrolled("cart", "no-key"), NotEnrolled("other", "condition")))
    assert answer.dropped == "no-key"
    assert replace(answer, matched=1).dropped is None


async def test_an_event_that_no_track_enters_says_nothing_and_counts_nothing(store: StoreCalls) -> None:
    await store.publish(CART)
    assert await store.accept(replace(LEFT, name="page.viewed")) == [Accepted()]
    async with store.db.transaction() as tx:
        assert await drop_counts.totals(tx) == []


def test_every_reason_has_its_rank() -> None:
    assert set(REASONS) == set(Reason.__args__)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("more", "days", "outcome"),
    [
        ({}, 6.9, "enrolled"),
        ({}, 7.1, "too-old"),
        ({}, 2_000, "too-old"),
        ({"max_age": "1h"}, 0.03, "enrolled"),
        ({"max_age": "1h"}, 0.05, "too-old"),
        ({"max_age": "400d"}, 399, "enrolled"),
    ],
)
async def test_history_that_is_told_again_enrols_nobody(
    store: StoreCalls, more: dict[str, str], days: float, outcome: str
) -> None:
    await store.publish(track(**more) if more else ALWAYS)
    assert await entered(store, replace(LEFT, occurred_at=NOW - timedelta(days=days))) == [outcome]


async def test_a_track_that_was_published_before_there_was_an_age_goes_on_as_it_did(store: StoreCalls) -> None:
    """Its row has no age. Publishing the same track again changes nothing; publishing it with an age does."""
    long_ago = NOW - timedelta(days=2_000)
    await store.publish(ALWAYS)
    await store.rows("UPDATE track SET rules = rules - 'entry_max_age' - 'entries' RETURNING name")
    assert await entered(store, replace(LEFT, occurred_at=long_ago)) == ["enrolled"]
    await store.publish(ALWAYS)
    assert await entered(store, replace(LEFT, event_id="e2", contact_id="bob", occurred_at=long_ago)) == ["enrolled"]
    await store.publish(track(max_age="7d"))
    assert await entered(store, replace(LEFT, event_id="e3", contact_id="carol", occurred_at=long_ago)) == ["too-old"]


async def test_figures_are_the_same_after_their_rows_became_few(store: StoreCalls) -> None:
    await store.publish(CART)
    for number in range(5):
        await store.accept(replace(LEFT, event_id=f"e{number}", properties={}))
    await store.accept(LEFT, LEFT)
    async with store.db.transaction() as tx:
        before = await drop_counts.totals(tx)
        await drop_counts.compact(tx)
        assert await drop_counts.totals(tx) == before
    [row] = await store.rows("SELECT count(*) AS rows FROM dropped")
    assert row.rows == len(before)


async def test_who_is_turned_away_costs_no_round_trip_more_and_who_nobody_cares_for_no_statement(
    store: StoreCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.publish(UNLESS)
    await store.contact()
    flights: list[int] = []
    fly = Pipeline.fly

    async def counted(self: Pipeline, asked: Sequence[Statement] = (), **around: bool) -> list[Answer]:
        flights.append(len(asked))
        return await fly(self, asked, **around)

    monkeypatch.setattr(Pipeline, "fly", counted)

    async def cost(event: Event) -> list[int]:
        flights.clear()
        await store.accept(event)
        return list(flights)

    assert await cost(replace(LEFT, name="page.viewed")) == [1, 0], "stored, committed"
    late = replace(LEFT, event_id="e2", occurred_at=NOW - timedelta(days=30))
    assert await cost(late) == [1, 1, 1], "stored, the doors, counted along with the commit"
