"""The doctor finds handoffs that nobody ends or can answer, and nothing where they are well."""

from __future__ import annotations

from datetime import timedelta

from api.doctor.findings import Report
from api.doctor.health import handoff_health
from api.doctor.time_limits import TimeLimits
from store.engine.database import Database
from store.engine.sql import utc_now
from store.people.handoffs import assigning
from store.people.handoffs.handoff import Handoff
from tests.store.people.handoffs.handoff_calls import handed, say
from tests.store.sending.claims import publish
from tests.store.store_calls import StoreCalls

POLICY = """
sales:
  teams: {sales: {people: [{id: ada, name: Ada}, {id: emil, name: Emil}]}}
  reject_reasons: {not-a-fit: Not a fit}
"""


async def looked(db: Database) -> list[tuple[str, str, str]]:
    report = Report()
    await handoff_health.look(db, TimeLimits(), report)
    return [(one.kind, one.id, one.detail) for one in report.findings]


async def waiting(store: StoreCalls, due_in: timedelta) -> Handoff:
    made = await handed(store)
    await store.rows("UPDATE handoff SET due_at = :due RETURNING 1", due=utc_now() + due_in)
    return made


async def test_a_handoff_that_waits_for_somebody_of_the_policy_is_no_finding(db: Database) -> None:
    store = StoreCalls(db)
    await publish(store, POLICY)
    await waiting(store, timedelta(days=1))
    assert await looked(db) == []


async def test_a_handoff_that_nobody_answered_and_nobody_ended_is_late(db: Database) -> None:
    store = StoreCalls(db)
    await publish(store, POLICY)
    made = await waiting(store, -timedelta(hours=1))
    ((kind, found, detail),) = await looked(db)
    assert (kind, found, detail[:4]) == ("handoff-late", made.id, "due ")


async def test_leads_of_somebody_whom_the_policy_no_longer_names_are_found_until_they_are_answered(
    db: Database,
) -> None:
    store = StoreCalls(db)
    await publish(store, POLICY.replace("{id: ada, name: Ada}, ", ""))
    made = await waiting(store, timedelta(days=1))
    assert await looked(db) == [("handoff-unnamed", "sales/ada", "1 wait for an answer")]
    await say(store, made, "accepted")
    assert await looked(db) == []


async def test_a_team_in_which_everybody_is_away_is_found(db: Database) -> None:
    await publish(StoreCalls(db), POLICY.replace("name: Ada}", "name: Ada, away: true}"))
    assert await looked(db) == []
    await publish(StoreCalls(db), POLICY.replace("name: Ada}, {id: emil, name: Emil}", "name: Ada, away: true}"))
    assert await looked(db) == [("team-away", "sales", "1 people, all away")]


async def test_an_answer_that_hubspot_has_not_taken_for_long_is_found(db: Database) -> None:
    store = StoreCalls(db)
    await publish(store, POLICY)
    made = await handed(store)
    async with db.transaction() as tx:
        await assigning.set_task(tx, made.effect_key, "t-1")
    await say(store, made, "accepted")  # at the tests' moment, which is months ago
    ((kind, found, detail),) = await looked(db)
    assert (kind, found, detail[:8]) == ("crm-task-late", "hubspot", "1 tasks,")
