"""Consents and suppressions over the API."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from store.engine.database import Database
from store.engine.hash_secret import use_secret
from store.people.consents import suppressions
from store.schema.migrate import upgrade
from tests.api.client import Api
from tests.api.messages import rows
from tests.api.preferences.preference_calls import publish_policy

EMAIL = "ada@example.com"


async def tell(api: Api, *consents: object, contact_id: str = "user-1") -> tuple[int, dict[str, object]]:
    answer = await api.call("PUT", f"/v1/contacts/{contact_id}/consents", json={"consents": list(consents)})
    return answer.status_code, answer.json()


def consent(status: str = "granted", topic: str = "", **more: object) -> dict[str, object]:
    return {"channel": "email", "topic": topic, "status": status, "source": "form"} | more


async def test_what_is_told_is_kept_with_its_proof(api: Api, db: Database) -> None:
    await publish_policy(db)
    await api.contact("user-1", email=EMAIL)
    status, now = await tell(
        api,
        consent(topic="news", text_version="v3", at="2026-03-02T09:30:00+01:00"),
        consent("withdrawn", "tips", at="2026-03-03T09:30:00Z"),
        consent(topic="tips", at="2026-03-01T09:30:00Z"),
    )
    assert status == 200
    shown = (await api.get("/v1/contacts/user-1/consents")).json()
    assert shown["consents"] == now["consents"]
    assert [(c["topic"], c["status"], c["text_version"], c["at"]) for c in shown["consents"]] == [
        ("news", "pending", "v3", "2026-03-02T08:30:00Z"),
        ("tips", "withdrawn", "", "2026-03-03T09:30:00Z"),
    ]
    assert [(p["topic"], p["status"]) for p in shown["history"]] == [
        ("tips", "granted"),
        ("tips", "withdrawn"),
        ("news", "pending"),
    ]
    _, now = await tell(api, consent("confirmed", "news", at="2026-03-05T00:00:00Z"))
    assert isinstance(now["consents"], list)
    assert (now["consents"][0]["status"], now["consents"][0]["confirmed_at"]) == ("granted", "2026-03-05T00:00:00Z")


async def test_the_history_comes_page_by_page_and_a_repeat_counts_once(api: Api, db: Database) -> None:
    await publish_policy(db)
    await api.contact("user-1", email=EMAIL)
    told = [consent(at=f"2026-03-0{day}T00:00:00Z") for day in range(1, 6)]
    for _ in range(2):
        await tell(api, *told, told[0])
    days: list[str] = []
    cursor: str | None = None
    while True:
        page = (await api.get("/v1/contacts/user-1/consents", limit=2, **({"cursor": cursor} if cursor else {}))).json()
        days += [proof["at"][9:10] for proof in page["history"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert days == ["5", "4", "3", "2", "1"]


async def test_everything_that_is_wrong_is_named_at_once(api: Api, db: Database) -> None:
    await publish_policy(db)
    await api.contact("user-1", email=EMAIL)
    status, problem = await tell(
        api,
        consent(topic="newz"),
        {"channel": "fax", "status": "maybe", "colour": "red", "topic": "tipps"},
        "granted",
        consent(at="yesterday"),
    )
    assert status == 422
    assert isinstance(problem["errors"], list)
    assert [error["pointer"] for error in problem["errors"]] == [
        "#/consents/0/topic",
        "#/consents/1/topic",
        "#/consents/1/channel",
        "#/consents/1/status",
        "#/consents/1/source",
        "#/consents/1/colour",
        "#/consents/2",
        "#/consents/3/at",
    ]
    assert "did you mean 'news'?" in problem["errors"][0]["detail"]
    assert await rows(db, "SELECT 1 FROM consent_change") == []


async def test_nobody_else_has_consents(api: Api) -> None:
    assert (await tell(api, consent(), contact_id="nobody"))[0] == 404
    assert (await api.get("/v1/contacts/nobody/consents")).status_code == 404
    answer = await api.call("POST", "/v1/contacts/nobody/pause", json={"until": None})
    assert answer.status_code == 404


async def test_a_pause_is_set_bounded_and_ended(api: Api) -> None:
    await api.contact("user-1", email=EMAIL)

    async def pause(until: datetime | None) -> tuple[int, str | None]:
        body = {"until": until.isoformat() if until else None}
        answer = await api.call("POST", "/v1/contacts/user-1/pause", json=body)
        return answer.status_code, answer.json().get("paused_until")

    now = datetime.now(UTC)
    status, until = await pause(now + timedelta(days=3))
    assert status == 200 and until is not None
    assert (await api.get("/v1/contacts/user-1")).json()["paused_until"] == until
    assert (await pause(now + timedelta(days=400)))[0] == 422
    assert await pause(now - timedelta(days=1)) == (200, None)
    assert await pause(None) == (200, None)


async def test_an_address_is_suppressed_looked_for_and_allowed_again(api: Api) -> None:
    answer = await api.call("POST", "/v1/suppressions", json={"channel": "email", "address": "Ada@EXAMPLE.com"})
    assert (answer.status_code, answer.json()["reason"]) == (201, "manual")
    hashed = hashlib.sha256(f"email:{EMAIL}".encode()).hexdigest()
    assert answer.json()["address_hash"] == hashed
    milder = {"channel": "email", "address": EMAIL, "reason": "unsubscribed"}
    harsher = milder | {"reason": "complained"}
    again = [await api.call("POST", "/v1/suppressions", json=body) for body in (milder, harsher)]
    assert [(a.status_code, a.json()["reason"]) for a in again] == [(200, "manual"), (201, "complained")]

    for found in ({"channel": "email", "address": EMAIL.upper()}, {"address_hash": hashed}, {"reason": "complained"}):
        page = (await api.get("/v1/suppressions", **found)).json()
        assert [one["reason"] for one in page["suppressions"]] == ["complained"]
        assert EMAIL not in str(page)
    assert (await api.get("/v1/suppressions", channel="sms")).json() == {"suppressions": [], "next": None}

    gone = [
        (await api.call("DELETE", "/v1/suppressions", json={"channel": "email", "address": EMAIL})).json()
        for _ in range(2)
    ]
    assert gone == [{"removed": True}, {"removed": False}]


async def test_suppressions_are_listed_page_by_page(api: Api) -> None:
    for number in range(3):
        await api.call("POST", "/v1/suppressions", json={"channel": "sms", "address": f"+4144668180{number}"})
    first = (await api.get("/v1/suppressions", limit=2)).json()
    rest = (await api.get("/v1/suppressions", limit=2, cursor=first["next"])).json()
    hashes = [one["address_hash"] for one in first["suppressions"] + rest["suppressions"]]
    assert hashes == sorted({*hashes}) and len(hashes) == 3 and rest["next"] is None


async def test_an_address_that_is_none_is_refused(api: Api) -> None:
    for body, pointer in (
        ({"channel": "email", "address": "+41446681800"}, "#/address"),
        ({"channel": "sms", "address": EMAIL}, "#/address"),
        ({"channel": "fax", "address": EMAIL}, "#/channel"),
        ({"channel": "email", "address": EMAIL, "reason": "tired"}, "#/reason"),
    ):
        answer = await api.call("POST", "/v1/suppressions", json=body)
        assert (answer.status_code, [e["pointer"] for e in answer.json()["errors"]]) == (422, [pointer])
    assert (await api.get("/v1/suppressions", address=EMAIL)).status_code == 422


async def test_a_hash_of_ones_own_making_finds_the_suppression_also_where_hashes_have_a_secret(
    api: Api, db: Database, postgres_url: str
) -> None:
    """The caller does not know the secret."""
    plain = hashlib.sha256(f"email:{EMAIL}".encode()).hexdigest()
    upgrade(postgres_url, "s" * 40)
    use_secret("s" * 40)
    try:
        async with db.transaction() as tx:
            await suppressions.add(tx, "email", EMAIL, "manual")
        [listed] = (await api.get("/v1/suppressions")).json()["suppressions"]
        assert listed["address_hash"].startswith("k")
        for hashed in (plain, listed["address_hash"]):
            found = (await api.get("/v1/suppressions", address_hash=hashed)).json()["suppressions"]
            assert found == [listed]
    finally:
        use_secret("")
