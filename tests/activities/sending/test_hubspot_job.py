"""The workers ask HubSpot who a contact of it is, and apply what waits soon after the contact appears."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from activities.sending.breakers_and_quota import HUBSPOT, Watch
from store.engine.background import periodic_jobs
from store.engine.sql import utc_now
from store.people.hubspot import applying
from store.people.hubspot.hubspot_change import Change, Moment, Properties
from tests.activities.activity_runner import ActivityRunner
from tests.conftest import DevServer

PROPERTIES = Properties({"lifecyclestage": "crm_stage"}, "perennial_contact_id")


async def hear(runner: ActivityRunner, object_id: str) -> None:
    """A person changed the stage of somebody of whom HubSpot says no more than its own id."""
    change = Change(Moment(utc_now(), f"hubspot:1:{object_id}"), object_id, "lifecyclestage", "lead")
    async with runner.db.transaction() as tx:
        await applying.apply(tx, object_id, [change], PROPERTIES)


async def test_hubspot_is_asked_once_who_somebody_is_and_their_changes_are_told(
    runner: ActivityRunner, dev_server: DevServer
) -> None:
    await runner.rebuild(crm="hubspot")
    providers = runner.activities.providers
    client = await dev_server.connect()
    watch = Watch(runner.db, providers.email, client, runner.providers.settings(), providers.crm)
    made = {name: {"email": f"{name}-{runner.contact}@people.test".lower()} for name in ("known", "late")}
    made["named"] = {"email": "x@people.test", "perennial_contact_id": runner.contact}
    ids = {name: runner.providers.in_hubspot("create", properties=said) for name, said in made.items()}
    for object_id in (*ids.values(), "99999999"):
        await hear(runner, object_id)
    await runner.store.contact("known", email=made["known"]["email"])

    async def look() -> list[Any]:
        async with runner.db.transaction() as tx:
            await periodic_jobs.again(tx, HUBSPOT, utc_now() - timedelta(seconds=1))
        await watch.settle_hubspot_contacts()
        return sorted(await runner.store.rows("SELECT contact_id FROM event WHERE name = 'crm.stage_changed'"))

    runner.providers.fault("hubspot", "500", match="/batch/read")
    assert await look() == []
    assert await look() == sorted([("known",), (runner.contact,)])
    await runner.store.contact("late", email=made["late"]["email"])
    assert await look() == sorted([("known",), ("late",), (runner.contact,)])
    assert await runner.store.rows("SELECT object_id FROM hubspot_contact WHERE contact_id IS NULL") == [("99999999",)]
