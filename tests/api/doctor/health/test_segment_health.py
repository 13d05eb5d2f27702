"""The doctor finds segments that are late or wrong, and nothing where they are well."""

from __future__ import annotations

from datetime import timedelta

import pytest

from api.doctor.findings import Report
from api.doctor.health import segment_health
from api.doctor.time_limits import TimeLimits
from store.audience import facts
from store.audience.webhooks import destinations
from store.engine.database import Database
from store.engine.sql import utc_now
from store.runs.events.events import Event
from tests.store.audience.segment_calls import fill, live, pass_time
from tests.store.store_calls import StoreCalls


async def looked(db: Database) -> list[tuple[str, str, str]]:
    report = Report()
    await segment_health.look(db, TimeLimits(), report)
    return [(one.kind, one.id, one.detail) for one in report.findings]


async def test_a_segment_that_is_kept_is_no_finding(db: Database) -> None:
    store = StoreCalls(db)
    await store.contact("ann", attributes={"plan": "team"})
    await live(store, "team", 'contact.attributes.plan == "team"')
    await live(store, "quiet", {"did_not": "app.used", "within": "14d"})
    await store.accept(Event("u1", "ann", "app.used", {}, utc_now() - timedelta(days=14, minutes=1)), now=utc_now())
    assert await looked(db) == []


async def test_a_contact_with_very_many_events_is_no_finding(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "MAX_EVENTS", 2)
    store = StoreCalls(db)
    await live(store, "users", {"did": "app.used"})
    for number in range(4):
        await store.accept(Event(f"u{number}", "ann", "app.used"), now=utc_now())
    assert await looked(db) == []


async def test_what_is_due_and_not_looked_at_is_late(db: Database) -> None:
    store = StoreCalls(db)
    await live(store, "quiet", {"did_not": "app.used", "within": "14d"})
    used = utc_now() - timedelta(days=14, minutes=3)
    await store.accept(Event("u1", "ann", "app.used", {}, used), now=used)
    ((kind, segment, detail),) = await looked(db)
    assert (kind, segment) == ("segment-late", "quiet") and detail.startswith("1 memberships, the first was due ")


async def test_a_stored_member_whom_the_facts_deny_is_wrong(db: Database) -> None:
    store = StoreCalls(db)
    await store.contact("ann", attributes={"plan": "team"})
    await live(store, "team", 'contact.attributes.plan == "team"')
    await store.rows("UPDATE membership SET member = false RETURNING 1")
    assert await looked(db) == [("segment-wrong", "team/ann", "stored as no member, is a member")]


BIRTHDAY = """
track: birthday
entry: {date: {attribute: birthday, yearly: true, feb_29: mar-1}}
steps: [{id: pause, wait: 1d}]
"""


async def test_a_date_that_would_not_be_noticed_is_wrong(db: Database) -> None:
    store = StoreCalls(db)
    for who, day in (("ann", "1990-03-20"), ("bob", "1991-07-01"), ("eve", None)):
        await store.contact(who, attributes={"birthday": day})
    await store.publish(BIRTHDAY)
    await fill(store)
    await pass_time(store, utc_now())
    assert await looked(db) == []
    await store.rows("DELETE FROM membership WHERE contact_id = 'bob' RETURNING 1")
    ((kind, what, detail),) = await looked(db)
    assert (kind, what.startswith("date:birthday:"), what.endswith("/bob")) == ("segment-wrong", True, True)
    assert detail == "the date would not be noticed when it comes"


async def test_a_webhook_that_fails_for_long_or_paused_by_itself_is_a_finding(db: Database) -> None:
    store = StoreCalls(db)
    await live(store, "team", 'contact.attributes.plan == "team"')
    async with db.transaction() as tx:
        await destinations.put(tx, "team", "ads", url="http://x", fields=[], batch=1, wait=0, paused=False)
    await store.contact("ann", attributes={"plan": "team"})
    assert await looked(db) == []
    at = utc_now() - timedelta(minutes=31)
    await store.rows("UPDATE segment_webhook SET failing_since = :at, last_error = 'webhook:500' RETURNING 1", at=at)
    failing = ("segment-webhook-failing", "team/ads", f"webhook:500 since {at:%Y-%m-%d %H:%M:%S}, 1 contacts wait")
    assert await looked(db) == [failing]
    await store.rows("UPDATE segment_webhook SET paused = 'failing', paused_at = :at RETURNING 1", at=at)
    paused = ("segment-webhook-paused", "team/ads", f"failing since {at:%Y-%m-%d %H:%M:%S}, 1 contacts wait")
    assert await looked(db) == [paused]
    await store.rows("UPDATE segment_webhook SET paused = 'by hand' RETURNING 1")
    assert await looked(db) == []
