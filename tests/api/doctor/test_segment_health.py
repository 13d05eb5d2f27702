"""The doctor finds segments that are late or wrong, and nothing where they are well."""

from __future__ import annotations

from datetime import timedelta

import pytest

from api.doctor import segment_health
from api.doctor.findings import Report
from api.doctor.time_limits import TimeLimits
from store.audience import facts
from store.engine.database import Database
from store.engine.sql import utc_now
from store.runs.events import Event
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
