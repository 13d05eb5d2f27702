"""A lead that was handed over, for the tests of its answers through HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx

from store.engine.database import Database
from store.people.handoffs import assigning
from store.people.handoffs.assigning import Lead
from store.people.handoffs.handoff import Handoff
from store.published import policies
from store.runs.enrollments import enrollments
from tests.api.client import Api
from tracks.shared.effect_keys import effect_key

POLICY = """
sales:
  teams: {sales: {people: [{id: ada, name: Ada}, {id: emil, name: Emil}]}}
  reject_reasons: {not-a-fit: Not a fit, wrong-time: Not <now>}
"""
TRACK = """
track: lead
steps:
  - id: sales
    handoff: {to: sales, reason: Call them, due: 2d, when_none: exit}
"""


async def publish_policy(api: Api, source: str = POLICY) -> httpx.Response:
    return await api.call("PUT", "/v1/policy", content=source, headers={"Content-Type": "application/yaml"})


async def handed(api: Api, db: Database, contact_id: str = "user-1") -> Handoff:
    """A contact whose run has handed them over, as the activity does."""
    await publish_policy(api)
    assert (await api.publish(TRACK)).is_success
    await api.contact(contact_id, email=f"{contact_id}@example.com")
    run_id = (await api.enroll(contact_id, "lead")).json()["id"]
    async with db.transaction() as tx:
        run = await enrollments.lock_run(tx, run_id)
        assert run is not None
        team = (await policies.current(tx)).policy.sales.teams["sales"]
        due = datetime.now(UTC) + timedelta(days=2)
        lead = Lead(run, effect_key(run_id, "sales", 1), "sales", "sales", "Call <them>", "Did & much", due)
        made = await assigning.assign(tx, team, lead)
    assert made is not None
    return made
