"""The leading relay deletes events past their time, once an hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from api.relay.event_deletion import EVERY, EventDeletion
from store.engine.database import Database
from store.published import policies
from store.runs.events.events import Event, accept_many
from tracks.policy.workspace_policy import parse_policy


async def test_a_pass_is_made_once_an_hour_and_deletes_all_that_is_due(db: Database) -> None:
    now = datetime.now(UTC)
    async with db.transaction() as tx:
        await accept_many(tx, [Event(f"e{n}", "ann", "app.used") for n in range(7)], now=now - timedelta(days=40))
        await accept_many(tx, [Event("new", "ann", "app.used")], now=now)
        await policies.publish(tx, parse_policy("retention: {events: {default: 30d}}"), "")
    deletion = EventDeletion(db)
    assert await deletion.delete_if_due(now) == 7
    async with db.transaction() as tx:
        await accept_many(tx, [Event("old", "ann", "app.used")], now=now - timedelta(days=40))
    assert await deletion.delete_if_due(now + EVERY / 2) == 0
    assert await deletion.delete_if_due(now + EVERY) == 1
    async with db.transaction() as tx:
        assert (await tx.execute(text("SELECT event_id FROM event"))).scalars().all() == ["new"]
    assert await deletion.delete_if_due(now + timedelta(days=31)) == 1
