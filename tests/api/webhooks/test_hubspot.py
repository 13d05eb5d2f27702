"""What people change in HubSpot sets attributes and becomes events; only what HubSpot signed is taken."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from api.app import create_app
from api.feedback.hubspot_signature import HubSpotSignature
from settings import Settings
from store.engine.database import Database
from store.people.hubspot import applying, own_writes
from store.people.hubspot.hubspot_change import Properties
from store.people.hubspot.own_writes import Written
from tests.api.client import Api
from tests.api.conftest import HUBSPOT_SECRET
from tests.api.hubspot_calls import APP, change, completed, counted, event, post, signed
from tests.api.messages import rows


async def attributes(api: Api, contact_id: str = "user-1") -> dict[str, Any]:
    found: dict[str, Any] = (await api.get(f"/v1/contacts/{contact_id}")).json()["attributes"]
    return found


async def told(db: Database) -> list[tuple[Any, Any]]:
    found: list[Any] = await rows(db, "SELECT name, properties FROM event ORDER BY occurred_at")
    return [(name, properties.get("to")) for name, properties in found]


def test_the_signature_that_hubspots_library_publishes_as_an_example_is_valid_at_its_time() -> None:
    settings = Settings(
        public_url="https://www.example.com",
        hubspot_client_secret=SecretStr("other, yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"),
    )
    body, signature = b"{'example_field':'example_value'}", "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y="
    for seconds, wanted in ((0, True), (300, True), (301, False), (-300, True), (-301, False)):
        known = HubSpotSignature(settings, clock=lambda seconds=seconds: 1_693_657_560 + seconds)  # type: ignore[misc]
        assert known.genuine("/webhook_uri", "", body, signature, "1693657560000") is wanted
        assert not known.genuine("/webhook_uri", "a=b", body, signature, "1693657560000")


async def test_a_stage_that_a_person_changes_is_an_attribute_and_begins_and_ends_tracks(
    api: Api, db: Database, app: FastAPI
) -> None:
    published = await api.publish(
        "track: sold\nentry: {event: crm.stage_changed, where: 'event.properties.to == \"opportunity\"'}\n"
        "goal: {event: crm.stage_changed, where: 'event.properties.to == \"customer\"'}\n"
        "steps:\n  - id: rest\n    wait: 5d\n"
    )
    assert published.status_code == 201, published.text
    await api.contact("user-1", email="ada@example.com")
    stages = [change("lifecyclestage", stage) for stage in ("lead", "opportunity")]
    assert (await post(api.client, change("email", "ada@example.com"), *stages)).status_code == 204
    assert await attributes(api) == {"crm_stage": "opportunity"}
    ((run, ended),) = await rows(db, "SELECT id, ended_at FROM enrollment")
    assert ended is None
    await post(api.client, change("lifecyclestage", "customer"))
    signals = "SELECT enrollment_id FROM outbox WHERE kind = 'event'"
    assert await rows(db, signals) == [(run,)]
    assert await told(db) == [("crm.stage_changed", stage) for stage in ("lead", "opportunity", "customer")]


async def test_batches_may_come_repeated_and_in_any_order(api: Api, db: Database, app: FastAPI) -> None:
    dice = random.Random(1)
    for turn in range(6):
        await api.contact(f"user-{turn}", email=f"ada{turn}@example.com")
        number = 1000 + turn
        stages = ("lead", "customer", "evangelist")
        events = [change("email", f"ada{turn}@example.com", number)]
        events += [change("lifecyclestage", stage, number) for stage in stages]
        sent = [*events, *dice.choices(events, k=4)]
        dice.shuffle(sent)
        cut = dice.randint(1, len(sent) - 1)
        for batch in (sent[:cut], sent[cut:]):
            assert (await post(api.client, *batch)).status_code == 204
        assert await attributes(api, f"user-{turn}") == {"crm_stage": "evangelist"}
    counts: list[Any] = await rows(db, "SELECT count(*) FROM event GROUP BY contact_id")
    assert all(1 <= told_of_one <= 3 for (told_of_one,) in counts)


async def test_the_same_batches_at_once_are_told_once(api: Api, db: Database) -> None:
    people = range(8)
    for number in people:
        await api.contact(f"user-{number}", email=f"ada{number}@example.com")
    batch = [change("email", f"ada{number}@example.com", 200 + number) for number in people]
    batch += [change("lifecyclestage", "lead", 200 + number) for number in people]
    batches = [batch, batch[::-1], batch[4:], batch[:12]]
    answers = await asyncio.gather(*(post(api.client, *some) for some in batches))
    assert {answer.status_code for answer in answers} == {204}
    assert await told(db) == [("crm.stage_changed", "lead")] * len(people)
    assert await rows(db, "SELECT 1 FROM hubspot_waiting") == []


async def test_our_own_changes_do_not_echo(api: Api, db: Database, app: FastAPI) -> None:
    await api.contact("user-1", email="ada@example.com")
    own: dict[str, Any] = {"changeSource": "INTEGRATION", "sourceId": str(APP)}
    others: dict[str, Any] = {"changeSource": "INTEGRATION", "sourceId": "999"}
    await post(api.client, change("email", "ada@example.com"), change("lifecyclestage", "lead", **own))
    assert (await attributes(api), await told(db)) == ({"crm_stage": "lead"}, [])
    await post(api.client, change("lifecyclestage", "customer", **others))
    assert await told(db) == [("crm.stage_changed", "customer")]


async def test_another_app_may_write_for_us_than_the_one_that_sends(settings: Settings, db: Database, api: Api) -> None:
    here = settings.model_copy(update={"hubspot_app_id": "77", "hubspot_attributes": {"hs_lead_status": "lead"}})
    await api.contact("user-1", email="ada@example.com")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(here, db))) as client:
        own: dict[str, Any] = {"changeSource": "INTEGRATION", "sourceId": "77"}
        await post(client, change("email", "ada@example.com"), change("hs_lead_status", "NEW", **own))
        await post(client, change("hs_lead_status", "CONNECTED"))
    assert await attributes(api) == {"lead": "CONNECTED"}
    ((properties,),) = await rows(db, "SELECT properties FROM event")
    wanted = {"field": "hs_lead_status", "from": "NEW", "to": "CONNECTED", "source": "hubspot"}
    assert properties == wanted


async def test_a_completed_task_is_told_once_its_step_is_known(api: Api, db: Database) -> None:
    await api.contact("user-1")
    done = completed(555)
    for _ in range(2):
        assert (await post(api.client, done)).status_code == 204
    assert await told(db) == []
    async with db.transaction() as tx:
        written = Written("101", datetime(2025, 11, 24, tzinfo=UTC), {}, "555")
        await own_writes.record(tx, "user-1", "run/hot/1", written, Properties({}, ""))
    await post(api.client, done)
    assert await told(db) == [("crm.task_completed", None)]


async def test_a_task_that_perennial_itself_completed_is_no_answer_of_sales(api: Api, db: Database) -> None:
    await api.contact("user-1")
    async with db.transaction() as tx:
        written = Written("101", datetime(2025, 11, 24, tzinfo=UTC), {}, "555")
        await own_writes.record(tx, "user-1", "run/hot/1", written, Properties({}, ""))
    await post(api.client, completed(555) | {"changeSource": "INTEGRATION", "sourceId": str(APP)})
    assert await told(db) == []
    await post(api.client, completed(555))
    assert await told(db) == [("crm.task_completed", None)]


async def test_an_outcome_in_the_same_call_is_what_the_task_is_told_as(api: Api, db: Database, app: FastAPI) -> None:
    await api.contact("user-1")
    async with db.transaction() as tx:
        written = Written("101", datetime(2025, 11, 24, tzinfo=UTC), {}, "555")
        await own_writes.record(tx, "user-1", "run/hot/1", written, Properties({}, ""))
    said = completed(555) | {"propertyName": "perennial_outcome", "propertyValue": "rejected"}
    await post(api.client, completed(555), said, said | {"eventId": 9, "propertyValue": "Not a word"})
    assert await rows(db, "SELECT properties ->> 'outcome' FROM event") == [("rejected",)]
    assert (counted(app, "unchanged"), counted(app, "not-used")) == (1, 1)


async def test_what_waits_for_its_contact_is_applied_with_the_next_word_about_it(
    api: Api, db: Database, app: FastAPI
) -> None:
    await post(api.client, change("lifecyclestage", "lead"), change("perennial_contact_id", "user-1"))
    assert (counted(app, "waiting"), await told(db)) == (1, [])
    await api.contact("user-1")
    await post(api.client, change("perennial_contact_id", "user-1"))
    assert (await attributes(api), await told(db)) == ({"crm_stage": "lead"}, [("crm.stage_changed", "lead")])


async def test_deletions_merges_and_privacy_deletions(api: Api, db: Database, app: FastAPI) -> None:
    for name in ("user-1", "user-2"):
        await api.contact(name, email=f"{name}@example.com")
    await post(api.client, change("email", "user-1@example.com", 101), change("email", "user-2@example.com", 102))
    await post(api.client, event("contact.deletion", 101), event("contact.deletion", 999))
    assert await told(db) == [("crm.contact_deleted", None)]
    merge = {"primaryObjectId": 101, "mergedObjectIds": [102, 103], "newObjectId": 104}
    await post(api.client, event("contact.merge", 101, **merge))
    assert counted(app, "merge-waiting") == 1
    (made,) = (await api.get("/v1/contacts/user-2/merges")).json()["merges"]
    assert (made["contact_id"], made["merged_id"], made["merged_by"]) == ("user-1", "user-2", "hubspot")
    await post(api.client, change("lifecyclestage", "lead", 104))
    assert await attributes(api) == {"crm_stage": "lead"}
    gone = event("contact.privacyDeletion", 104)
    await post(api.client, gone, change("lifecyclestage", "customer", 104))
    assert (await api.get("/v1/contacts/user-1")).status_code == 404
    assert (await post(api.client, gone)).status_code == 204
    assert (await api.get("/v1/contacts/user-2")).status_code == 404
    for table in ("hubspot_contact", "hubspot_merged"):
        assert await rows(db, f"SELECT 1 FROM {table}") == []
    assert counted(app, "not-ours") == 2


async def test_what_cannot_be_used_is_taken_and_counted(api: Api, db: Database, app: FastAPI) -> None:
    unused: list[Any] = [
        event("contact.creation"),
        event("deal.propertyChange", propertyName="amount", propertyValue="5"),
        event("object.propertyChange", objectTypeId="0-27", propertyName="hs_task_status", propertyValue="WAITING"),
        change("lifecyclestage", "x") | {"occurredAt": "yesterday"},
        change("lifecyclestage", "x") | {"occurredAt": 10**20},
        change("lifecyclestage", "x") | {"objectId": "a b"},
        change("lifecyclestage", "x") | {"objectId": True},
        {},
        7,
    ]
    assert (await post(api.client, *unused)).status_code == 204
    assert counted(app, "not-used") == len(unused)
    await post(api.client, change("favorite_colour", "blue"), change("lifecyclestage", "x" * 10_001))
    assert (counted(app, "unmapped"), counted(app, "too-large")) == (1, 1)
    dropped = "SELECT track FROM dropped WHERE reason = 'unmapped' AND kind = 'hubspot'"
    assert await rows(db, dropped) == [("favorite_colour",)]


async def test_one_contact_that_fails_does_not_keep_the_others_of_the_batch_back(
    api: Api, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.contact("user-1", email="ada@example.com")
    apply = applying.apply

    async def failing(tx: Any, object_id: str, **more: Any) -> Any:
        if object_id == "100":
            raise ValueError("an object that cannot be applied")
        return await apply(tx, object_id, **more)

    monkeypatch.setattr(applying, "apply", failing)
    batch = (
        change("email", "x@example.com", 100),
        change("email", "ada@example.com"),
        change("lifecyclestage", "lead"),
    )
    with pytest.raises(ValueError, match="cannot be applied"):  # the server answers 500, so HubSpot repeats the batch
        await post(api.client, *batch)
    assert await attributes(api) == {"crm_stage": "lead"}


async def test_what_hubspot_did_not_sign_or_signed_long_ago_is_refused(api: Api, db: Database, app: FastAPI) -> None:
    body = json.dumps([change("lifecyclestage", "lead")])
    good = signed(body)
    name, stamp = "X-HubSpot-Signature-v3", "X-HubSpot-Request-Timestamp"
    wrong = {
        "another secret": signed(body, secret="other"),
        "replayed": signed(body, age=301),
        "signed for later": signed(body, age=-301),
        "another address": signed(body, url="https://nurture.acme.test/webhooks/stripe"),
        "another time": good | {stamp: str(int(good[stamp]) + 1)},
        "no time": good | {stamp: ""},
        "a long time": good | {stamp: "9" * 5000},
        "not ASCII": good | {name: "é" * 44},
        "an odd time": good | {stamp: "²³"},
        "nothing": {},
    }
    for why, headers in wrong.items():
        raw = {key.encode(): value.encode("latin-1") for key, value in headers.items()}
        answer = await api.client.post("/webhooks/hubspot", content=body, headers=raw)
        assert answer.status_code == 403, why
    for altered in (body + " ", body.replace("lead", "liad")):
        assert (await api.client.post("/webhooks/hubspot", content=altered, headers=good)).status_code == 403
    assert await rows(db, "SELECT 1 FROM hubspot_contact") == []
    assert counted(app, "forged") == len(wrong) + 2
    assert (await api.client.post("/webhooks/hubspot", content=body, headers=good)).status_code == 204


async def test_a_query_is_part_of_what_is_signed(api: Api) -> None:
    url = "https://nurture.acme.test/webhooks/hubspot?from=a%3Ab"
    body = "[]"
    decoded = signed(body, url=url.replace("%3A", ":"))
    assert (await api.client.post(url, content=body, headers=decoded)).status_code == 204
    assert (await api.client.post(url, content=body, headers=signed(body))).status_code == 403


async def test_without_a_secret_nothing_is_taken(settings: Settings, db: Database) -> None:
    here = settings.model_copy(update={"hubspot_client_secret": SecretStr(" , ")})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(here, db))) as client:
        answer = await post(client, change("lifecyclestage", "lead"))
    assert answer.status_code == 403 and "PERENNIAL_HUBSPOT_CLIENT_SECRET" in answer.json()["detail"]


async def test_a_secret_may_be_changed_while_both_are_named(settings: Settings, db: Database) -> None:
    here = settings.model_copy(update={"hubspot_client_secret": SecretStr(f"new, {HUBSPOT_SECRET}")})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(here, db))) as client:
        for secret, status in (("new", 204), (HUBSPOT_SECRET, 204), ("old", 403)):
            assert (await post(client, event("contact.creation"), secret=secret)).status_code == status
