"""Webhooks of segments through the API: made once with a secret, changed, watched, deleted; and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from store.audience.webhooks import batches, destinations
from store.engine.database import Database
from store.engine.sql import utc_now
from tests.api.client import Api
from tests.api.resources.audience.test_segments import TEAM, fill, put

HOOK = {"url": "https://hooks.acme.test/team", "fields": ["email_sha256", "attributes.plan"], "changes": []}
PATH = "/v1/segments/team/webhooks/ads"


@pytest.fixture
async def team(api: Api, db: Database) -> Api:
    await put(api, TEAM)
    await fill(db)
    return api


async def test_its_secret_is_shown_once(team: Api) -> None:
    made = await team.call("PUT", PATH, json=HOOK)
    assert made.status_code == 201 and made.json()["secret"].startswith("whsec_")
    again = await team.call("PUT", PATH, json={**HOOK, "batch": 7, "wait": "1m"})
    assert again.status_code == 200 and again.json()["secret"] is None
    shown = (await team.call("GET", PATH)).json()
    assert "secret" not in shown
    assert (shown["batch"], shown["wait"], shown["state"], shown["since"]) == (7, "1m", "sending", None)
    assert (await team.call("GET", "/v1/segments/team/webhooks")).json() == {"webhooks": [shown]}


async def test_all_problems_are_told_at_once(team: Api) -> None:
    wrong = {
        "url": "ftp://x",
        "fields": ["email", "secrets"],
        "changes": ["plan"],
        "batch": 0,
        "wait": "2d",
        "extra": 1,
    }
    answer = await team.call("PUT", PATH, json=wrong)
    assert answer.status_code == 422
    found = sorted(one["pointer"] for one in answer.json()["errors"])
    assert found == ["#/batch", "#/changes/0", "#/extra", "#/fields/1", "#/url", "#/wait"]


async def test_there_is_none_of_an_unknown_segment_and_no_unknown_one(team: Api) -> None:
    assert (await team.call("PUT", "/v1/segments/none/webhooks/ads", json=HOOK)).status_code == 404
    for method, path in (("GET", PATH), ("DELETE", PATH), ("POST", f"{PATH}/send-all")):
        assert (await team.call(method, path)).status_code == 404


async def test_a_segment_has_at_most_twenty(team: Api) -> None:
    for number in range(20):
        assert (await team.call("PUT", f"{PATH}-{number}", json=HOOK)).status_code == 201
    assert (await team.call("PUT", PATH, json=HOOK)).status_code == 422
    assert (await team.call("PUT", f"{PATH}-0", json=HOOK)).status_code == 200


async def failing(db: Database, **more: Any) -> None:
    """A call that the receiver did not accept."""
    async with db.transaction() as tx:
        (one,) = await destinations.list_all(tx)
        lease = utc_now() + batches.LEASE
        batch = batches.Batch(one.id, "team", "ads", "", "", [], [], None, 0, None, lease)
        await tx.execute(batches._LEASE, {"id": one.id, "until": lease})
        assert await batches.fail(tx, batch, utc_now(), error="webhook:410", again_at=utc_now(), **more)


async def test_it_says_why_and_since_when_it_is_paused_and_goes_on_when_it_is_told_to(team: Api, db: Database) -> None:
    await team.call("PUT", PATH, json=HOOK)
    await failing(db)
    shown = (await team.call("GET", PATH)).json()
    assert (shown["state"], shown["last_error"]) == ("failing", "webhook:410") and shown["since"]
    await failing(db, pause="gone")
    shown = (await team.call("GET", PATH)).json()
    assert (shown["state"], shown["paused"]) == ("paused", "gone") and shown["since"]
    shown = (await team.call("PUT", PATH, json={**HOOK, "batch": 3})).json()
    assert (shown["state"], shown["paused"], shown["batch"]) == ("paused", "gone", 3)
    shown = (await team.call("PUT", PATH, json={**HOOK, "paused": False})).json()
    assert (shown["state"], shown["paused"], shown["since"]) == ("sending", None, None)


async def test_members_wait_for_it_and_are_counted(team: Api) -> None:
    await team.call("PUT", PATH, json={**HOOK, "paused": True})
    await team.contact("ann", attributes={"plan": "team"})
    shown = (await team.call("GET", PATH)).json()
    assert (shown["state"], shown["paused"], shown["waiting"]) == ("paused", "by hand", 1) and shown["oldest"]
    metrics = (await team.call("GET", "/metrics")).text
    assert 'perennial_segment_webhook_waiting{segment="team",webhook="ads"} 1.0' in metrics
    assert (await team.call("POST", f"{PATH}/send-all")).json()["sending_all"] is True
    assert (await team.call("DELETE", PATH)).json() == {"segment": "team", "webhook": "ads", "deleted": True}
    assert (await team.call("GET", PATH)).status_code == 404
