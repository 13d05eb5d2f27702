"""Events are accepted once, matched against live enrollments, and stored before the answer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from store.engine.database import Database
from tests.api.client import Api, track


@pytest.fixture
async def enrolled(api: Api) -> Api:
    await api.publish(track())
    await api.contact("user-1", email="ada@example.com")
    await api.enroll("user-1")
    return api


async def signals(db: Database) -> list[dict[str, object]]:
    async with db.transaction() as tx:
        return list((await tx.execute(text("SELECT payload FROM outbox WHERE kind = 'event' ORDER BY id"))).scalars())


async def test_an_event_that_a_run_waits_for_is_delivered_to_it(enrolled: Api, db: Database) -> None:
    answer = await enrolled.event("user-1", "email.clicked", event_id="e-1")
    assert (answer.status_code, answer.json()) == (
        202,
        {
            "event_id": "e-1",
            "matched": 1,
            "enrolled": 0,
            "duplicate": False,
            "dropped": None,
            "not_enrolled": [],
            "segments": [],
        },
    )
    (signal,) = await signals(db)
    assert (signal["event_id"], signal["name"], signal["matches"]) == ("e-1", "email.clicked", ["step:clicked"])


async def test_the_same_event_again_changes_nothing(enrolled: Api, db: Database) -> None:
    for expected in (False, True, True):
        answer = await enrolled.event("user-1", "email.clicked", event_id="e-1")
        assert answer.json()["duplicate"] is expected
        assert answer.json()["matched"] == (0 if expected else 1)
    assert len(await signals(db)) == 1


async def test_the_same_event_from_many_sides_at_once_counts_once(enrolled: Api, db: Database) -> None:
    answers = await asyncio.gather(*(enrolled.event("user-1", "email.clicked", event_id="e-1") for _ in range(8)))
    assert sum(not answer.json()["duplicate"] for answer in answers) == 1
    assert len(await signals(db)) == 1


async def test_an_event_that_nobody_reacts_to_costs_nothing(enrolled: Api, db: Database) -> None:
    answer = await enrolled.event("user-1", "page.viewed")
    assert (answer.status_code, answer.json()["matched"]) == (202, 0)
    assert await signals(db) == []


async def test_an_event_of_somebody_unknown_is_kept(enrolled: Api, db: Database) -> None:
    assert (await enrolled.event("user-9", "trial.started")).status_code == 202
    async with db.transaction() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM event WHERE contact_id = 'user-9'"))).scalar_one() == 1


async def test_an_entry_event_enrols(api: Api) -> None:
    await api.publish(
        track("trial", more="entry: {event: trial.started, where: 'event.properties.plan == \"team\"'}\n")
    )
    await api.contact("user-1")
    assert (await api.event("user-1", "trial.started", properties={"plan": "free"})).json()["enrolled"] == 0
    assert (await api.event("user-1", "trial.started", properties={"plan": "team"})).json()["enrolled"] == 1


async def test_every_bad_field_is_named_at_once(api: Api) -> None:
    answer = await api.call(
        "POST",
        "/v1/events",
        json={"contact_id": "+41446681800", "name": " x\n", "properties": {"a": "\x00"}, "occurred_at": "yesterday"},
    )
    assert answer.status_code == 422  # such values are reported first: the rest cannot be read safely
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/properties/a"]
    answer = await api.call(
        "POST", "/v1/events", json={"contact_id": "+41446681800", "name": " x\n", "occurred_at": "yesterday"}
    )
    pointers = {error["pointer"] for error in answer.json()["errors"]}
    assert pointers == {"#/event_id", "#/contact_id", "#/name", "#/occurred_at"}


async def test_a_time_without_an_offset_is_refused(api: Api) -> None:
    answer = await api.event("user-1", "x", occurred_at="2026-11-21T12:00:00")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/occurred_at")


async def test_a_time_less_than_a_minute_ahead_counts_as_now(enrolled: Api, db: Database) -> None:
    answer = await enrolled.event("user-1", "x", occurred_at=(datetime.now(UTC) + timedelta(seconds=50)).isoformat())
    assert "waits_until" not in answer.json()
    async with db.transaction() as tx:
        at = (await tx.execute(text("SELECT occurred_at FROM event"))).scalar_one()
    assert at <= datetime.now(UTC)


async def test_an_event_of_the_future_is_kept_and_waits_for_its_time(enrolled: Api, db: Database) -> None:
    at = datetime.now(UTC) + timedelta(days=2)
    first, again = [await enrolled.event("user-1", "x", event_id="later", occurred_at=at.isoformat()) for _ in range(2)]
    assert (first.status_code, datetime.fromisoformat(first.json()["waits_until"])) == (202, at)
    assert (again.json()["duplicate"], "waits_until" in again.json()) == (True, False)
    async with db.transaction() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM event"))).scalar_one() == 0
    assert "perennial_future_events 1.0" in (await enrolled.get("/metrics")).text


async def test_an_event_of_a_farther_future_is_refused(api: Api) -> None:
    answer = await api.event("user-1", "x", occurred_at=(datetime.now(UTC) + timedelta(days=31)).isoformat())
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/occurred_at")
    assert "more than 30 days ahead" in answer.json()["errors"][0]["detail"]


async def test_a_body_that_is_no_json_is_malformed(api: Api) -> None:
    headers = {"Content-Type": "application/json"}
    for body in (b"", b"{", b"nope"):
        answer = await api.call("POST", "/v1/events", content=body, headers=headers)
        assert answer.status_code in (400, 422)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_another_media_type_is_refused(api: Api) -> None:
    answer = await api.call("POST", "/v1/events", content=b"a=1", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


async def test_a_property_too_large_for_a_history_is_left_out_and_counted(api: Api, db: Database) -> None:
    """A batch may have 5 MiB, but Temporal refuses more than 2 MB for good, which would block the run."""
    await api.publish(
        """
track: welcome
goal: {event: subscription.started}
steps:
  - id: clicked
    wait_for:
      event: email.clicked
      within: 3d
      then:
        - id: by-link
          branch:
            - {when: 'event.properties.link == "pricing" && event.properties.plan == "team"', steps: []}
"""
    )
    await api.contact("user-1")
    await api.enroll("user-1")
    item = {"type": "track", "userId": "user-1", "event": "email.clicked"}
    properties = [{"link": "x" * 3_000_000, "plan": "team", "other": "y" * 10_000}, {"link": "pricing", "plan": "team"}]
    batch = [item | {"messageId": f"m-{number}", "properties": one} for number, one in enumerate(properties)]
    answer = await api.call("POST", "/v1/batch", json={"batch": batch})
    assert (answer.status_code, answer.json()["matched"]) == (200, 2)
    told = [signal["properties"] for signal in await signals(db)]
    assert told == [{"plan": "team"}, {"link": "pricing", "plan": "team"}]
    metrics = (await api.call("GET", "/metrics")).text
    assert 'perennial_dropped_total{kind="property",reason="too large",track="welcome"} 1.0' in metrics


async def test_an_event_that_enrols_nobody_says_why_and_the_figures_as_well(api: Api) -> None:
    await api.publish(track("cart", reentry="{per: cart_id}", more="entry: {event: cart.left}\n"))
    told = {
        "no-key": await api.event("user-1", "cart.left"),
        "bad-key": await api.event("user-1", "cart.left", properties={"cart_id": 1.5}),
        "too-old": await api.event(
            "user-1", "cart.left", properties={"cart_id": "c"}, occurred_at="2019-05-01T00:00:00Z"
        ),
    }
    for reason, answer in told.items():
        said = answer.json()
        assert (answer.status_code, said["dropped"], said["enrolled"]) == (202, reason, 0)
        assert said["not_enrolled"] == [{"track": "cart", "reason": reason}]
    entered = (await api.event("user-1", "cart.left", properties={"cart_id": 4155552671})).json()
    assert (entered["enrolled"], entered["dropped"], entered["not_enrolled"]) == (1, None, [])
    figures = (await api.client.get("/metrics")).text
    for reason in told:
        assert f'perennial_dropped_total{{kind="entry",reason="{reason}",track="cart"}} 1.0' in figures
