"""A segment's size by day, with who entered and who left."""

from __future__ import annotations

from datetime import timedelta

from store.audience.segments import segment_sizes
from store.audience.segments.segment_sizes import Size
from store.engine.sql import utc_now
from store.people import contacts
from tests.store.audience.segment_calls import live
from tests.store.store_calls import StoreCalls

DAY = timedelta(days=1)


async def test_each_day_keeps_its_last_count_and_all_its_changes(store: StoreCalls) -> None:
    now = utc_now().replace(hour=12)
    await live(store, "team", 'contact.attributes.plan == "team"', now=now - 3 * DAY)

    async def change(who: str, plan: str, days: int) -> None:
        async with store.db.transaction() as tx:
            await contacts.upsert(tx, who, {"attributes": {"plan": plan}}, now=now - days * DAY)

    async def note(days: int) -> None:
        async with store.db.transaction() as tx:
            await segment_sizes.note(tx, now - days * DAY)

    await change("ann", "team", 2)
    await note(2)
    await change("bob", "team", 2)  # after the day's last count
    await change("ann", "free", 1)
    await note(1)
    await change("eve", "team", 0)
    await note(0)
    await note(0)
    async with store.db.transaction() as tx:
        found = await segment_sizes.sizes(tx, "team", since=(now - 2 * DAY).date(), limit=10)
    today = now.date()
    assert found == [Size(today, 2, 1, 0), Size(today - DAY, 1, 0, 1), Size(today - 2 * DAY, 1, 2, 0)]
