"""The doctor finds scores that are late or wrong, and nothing where they are well."""

from __future__ import annotations

from datetime import timedelta

from api.doctor.findings import Report
from api.doctor.health import score_health
from api.doctor.time_limits import TimeLimits
from store.audience.scores.due import oldest_due
from store.engine.database import Database
from store.engine.sql import utc_now
from store.runs.events.events import Event
from tests.store.audience.scores.score_calls import live, written
from tests.store.store_calls import StoreCalls

SEEN = {"id": "seen", "event": "page.viewed", "points": 30, "within": "14d"}


async def looked(db: Database) -> list[tuple[str, str, str]]:
    report = Report()
    await score_health.look(db, TimeLimits(), report)
    return [(one.kind, one.id, one.detail) for one in report.findings]


async def test_a_score_that_is_kept_is_no_finding(db: Database) -> None:
    store = StoreCalls(db)
    await live(store, written("kept", SEEN))
    await store.accept(Event("v1", "ann", "page.viewed", {}, utc_now()), now=utc_now())
    assert await looked(db) == []


async def test_what_is_due_and_not_looked_at_is_late(db: Database) -> None:
    store = StoreCalls(db)
    await live(store, written("late", SEEN))
    seen = utc_now() - timedelta(days=14, minutes=3)
    await store.accept(Event("v1", "ann", "page.viewed", {}, seen), now=seen)
    async with db.transaction() as tx:
        assert await oldest_due(tx) == seen + timedelta(days=14)
    ((kind, score, detail),) = await looked(db)
    assert (kind, score) == ("score-late", "late") and detail.startswith("1 grades, the first was due ")


async def test_a_stored_score_that_the_facts_deny_is_wrong(db: Database) -> None:
    store = StoreCalls(db)
    await live(store, written("wrong", SEEN))
    await store.accept(Event("v1", "ann", "page.viewed", {}, utc_now()), now=utc_now())
    await store.rows("""UPDATE score_value SET course = '{"constant": 9, "decaying": [], "steps": []}' RETURNING 1""")
    assert await looked(db) == [("score-wrong", "wrong/ann", "stored as 9 (warm), is 30 (warm)")]
