"""Lists of events: all accepted events, newest first, each once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.runs.events import event_lists
from store.runs.events.event_lists import StoredEvent, Wanted
from store.runs.events.events import Event
from tests.store.store_calls import NOW, StoreCalls

NAMES, CONTACTS = ("email.clicked", "page.viewed", "order.paid"), ("ann", "bob")


async def walked(store: StoreCalls, wanted: Wanted, limit: int) -> list[StoredEvent]:
    found: list[StoredEvent] = []
    while True:
        async with store.db.transaction() as tx:
            last = (found[-1].received_at, found[-1].event_id) if found else None
            more = await event_lists.page(tx, wanted, before=last, limit=limit)
        found += more
        if len(more) < limit:
            return found


def maybe(*values: Any) -> st.SearchStrategy[Any]:
    return st.none() | st.sampled_from(values)


moments = st.integers(0, 6).map(lambda number: NOW + timedelta(minutes=number))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(contact=maybe(*CONTACTS), name=maybe(*NAMES, "x"), since=st.none() | moments, until=st.none() | moments,
       limit=st.integers(1, 20))  # fmt: skip
async def test_a_list_is_every_event_that_was_asked_for_the_last_first(
    store: StoreCalls, contact: str | None, name: str | None, since: Any, until: Any, limit: int
) -> None:
    if not await store.rows("SELECT 1 FROM event LIMIT 1"):
        for minute in range(5):  # five at each moment: their ids tell them apart
            events = [Event(f"e{minute}{n}", CONTACTS[n % 2], NAMES[n % 3], {"n": n}) for n in range(7)]
            await store.accept(*events, now=NOW + timedelta(minutes=minute))
    everything = await walked(store, Wanted(), 100)
    assert len(everything) == 35
    found = await walked(store, Wanted(contact, name, since, until), limit)
    assert found == [
        one
        for one in sorted(everything, key=lambda one: (one.received_at, one.event_id), reverse=True)
        if contact in (None, one.contact_id)
        and name in (None, one.name)
        and (since is None or one.received_at >= since)
        and (until is None or one.received_at < until)
    ]
