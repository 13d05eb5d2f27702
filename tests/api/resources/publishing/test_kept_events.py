"""What is published reads only events that the policy keeps, and the policy keeps what is read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
from sqlalchemy import text

from store.engine.database import Database
from tests.api.client import Api, track

YAML = {"Content-Type": "application/yaml"}
KEPT = "retention: {events: {default: 400d, names: {page.viewed: 90d, order.paid: forever}}}\n"


async def policy(api: Api, source: str = KEPT) -> httpx.Response:
    return await api.call("PUT", "/v1/policy", content=source, headers=YAML)


async def segment(api: Api, members: str, name: str = "kept") -> httpx.Response:
    source = f"segment: {name}\nmembers: {members}\n"
    return await api.call("PUT", f"/v1/segments/{name}", content=source, headers=YAML)


def details(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [error["detail"] for error in answer.json()["errors"]]


async def test_a_segment_that_looks_back_further_than_its_events_are_kept_is_refused_with_both_times(api: Api) -> None:
    assert (await policy(api)).status_code == 201
    (why,) = details(await segment(api, "{did: page.viewed, within: 120d}"))
    assert why.startswith("did reads those of 120d, and events page.viewed are kept for 90d; write a `within`")
    (why,) = details(await segment(api, "{first: app.used, within: 30d}"))
    assert why.startswith("first reads all of them, and events app.used are kept for 400d")
    for members in ("{did: page.viewed, within: 90d}", "{did: order.paid, times: '>= 3'}"):
        assert (await segment(api, members)).status_code == 201


async def test_so_is_a_score_and_a_track(api: Api) -> None:
    await policy(api)
    rule = "{id: read, event: page.viewed, points: 5, half_life: 4d}"
    score = f"score: warmth\nbehaviour:\n  - {rule}\ngrades: {{cold: , warm: 10}}\n"
    (why,) = details(await api.call("PUT", "/v1/scores/warmth", content=score, headers=YAML))
    assert why.startswith("the rule read reads those of 120d, and events page.viewed are kept for 90d")
    kept = score.replace("4d", "3d")
    assert (await api.call("PUT", "/v1/scores/warmth", content=kept, headers=YAML)).status_code == 201
    (why,) = details(await api.publish(track(more="unless: [{did: page.viewed, within: 100d}]\n")))
    assert why.startswith("unless did reads those of 100d")


async def test_a_retention_below_what_is_published_is_refused_with_what_reads_it(api: Api) -> None:
    await segment(api, "{did: page.viewed, within: 120d}")
    await segment(api, "{did_not: app.used}", "never")
    await api.publish(track("welcome", more="unless: [{did: order.paid, within: 200d}]\n"))
    assert details(await policy(api, "retention: {events: {default: 100d}}")) == [
        "retention.events: the segment kept: did reads those of 120d, and events page.viewed are kept for 100d",
        "retention.events: the segment never: did_not reads all of them, and events app.used are kept for 100d",
        "retention.events: the track welcome version 1: unless did reads those of 200d, "
        "and events order.paid are kept for 100d",
    ]
    kept = "retention: {events: {default: 30d, names: {page.viewed: 120d, app.used: forever, order.paid: 200d}}}"
    assert (await policy(api, kept)).status_code == 201


async def test_what_the_policy_itself_leaves_alone_is_kept_too(api: Api) -> None:
    (why,) = details(await policy(api, KEPT + "unless: [{did: page.viewed, within: 91d}]\n"))
    assert "the policy: unless did reads those of 91d" in why


async def test_a_deploy_is_judged_as_a_whole(api: Api) -> None:
    await segment(api, "{did: page.viewed, within: 120d}")
    shorter = "segment: kept\nmembers: {did: page.viewed, within: 60d}\n"
    answer = await api.call("POST", "/v1/deploys", json={"policy": KEPT, "segments": {"kept": shorter}})
    assert answer.status_code == 200, answer.text


async def test_events_that_are_gone_already_are_not_promised(api: Api, db: Database) -> None:
    before = datetime.now(UTC) - timedelta(days=90)
    async with db.transaction() as tx:
        await tx.execute(text("INSERT INTO deleted_events VALUES ('page.viewed', :at, 5)"), {"at": before})
    (why,) = details(await segment(api, "{did: page.viewed, within: 120d}"))
    assert f"those before {before:%Y-%m-%d} are deleted; publish it after" in why
    assert (await segment(api, "{did: page.viewed, within: 89d}")).status_code == 201
