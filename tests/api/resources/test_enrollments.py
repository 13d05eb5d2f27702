"""The position of each contact: lists come from the database, details from the live run if it answers."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import text
from temporalio import workflow
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from api.app import create_app
from api.temporal import run_queries
from settings import Settings
from store.engine.database import Database
from store.runs.enrollments import enrollments
from tests.api.client import Api, track
from tracks.runs.run_interface import Journey, PathEntry

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
async def ready(api: Api) -> Api:
    await api.publish(track())
    await api.publish(track("other"))
    await api.contact("user-1")
    return api


async def started(db: Database, enrollment_id: str) -> None:
    async with db.transaction() as tx:
        await tx.execute(text("UPDATE enrollment SET started_at = now() WHERE id = :id"), {"id": enrollment_id})


async def test_an_enrollment_is_told_with_its_path_and_end(ready: Api, db: Database) -> None:
    made = (await ready.enroll("user-1", properties={"plan": "team"})).json()
    path = [PathEntry(seq=n, step=f"s{n}", kind="wait", outcome="done", at=AT + timedelta(days=n)) for n in range(3)]
    async with db.transaction() as tx:
        await enrollments.close(tx, made["id"], "converted", "goal", path=path, counts={"email": 2})
    shown = (await ready.get(f"/v1/enrollments/{made['id']}")).json()
    assert (shown["status"], shown["end_reason"], shown["as_of"]) == ("converted", "goal", "database")
    assert (shown["properties"], shown["counts"]) == ({"plan": "team"}, {"email": 2})
    assert [entry["step"] for entry in shown["path"]] == ["s0", "s1", "s2"]
    assert shown["messages"] == []


@pytest.mark.parametrize("name", ["nothing", "0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90", "x" * 64])
async def test_what_is_not_there_is_not_found(ready: Api, name: str) -> None:
    assert (await ready.get(f"/v1/enrollments/{name}")).status_code == 404
    assert (await ready.call("POST", f"/v1/enrollments/{name}/end")).status_code == 404


async def test_lists_are_filtered(ready: Api) -> None:
    await ready.contact("user-2")
    for person, name in (("user-1", "welcome"), ("user-2", "welcome"), ("user-1", "other")):
        await ready.enroll(person, name)

    async def found(**filters: str) -> set[tuple[str, str]]:
        page = (await ready.get("/v1/enrollments", **filters)).json()
        return {(one["contact_id"], one["track"]) for one in page["enrollments"]}

    assert await found(track="welcome") == {("user-1", "welcome"), ("user-2", "welcome")}
    assert await found(contact_id="user-1") == {("user-1", "welcome"), ("user-1", "other")}
    assert await found(contact_id="user-1", track="other", status="active") == {("user-1", "other")}
    assert await found(status="completed") == set()


async def test_bad_parameters_are_all_named(ready: Api) -> None:
    answer = await ready.get("/v1/enrollments", track="No Such", status="asleep", limit="0", contact_id="a@b.example")
    assert answer.status_code == 422
    assert {error["parameter"] for error in answer.json()["errors"]} == {"track", "status", "limit", "contact_id"}


async def test_a_cursor_holds_for_its_own_filters_only(ready: Api) -> None:
    for name in ("welcome", "other"):
        await ready.enroll("user-1", name)
    cursor = (await ready.get("/v1/enrollments", limit=1)).json()["next"]
    assert (await ready.get("/v1/enrollments", limit=1, cursor=cursor)).status_code == 200
    for params in ({"cursor": cursor, "track": "welcome"}, {"cursor": cursor[:-1]}, {"cursor": "x"}):
        answer = await ready.get("/v1/enrollments", **params)
        assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "cursor")


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(1, 12), late=st.integers(0, 3))
async def test_pages_hold_everything_once_whatever_is_added_meanwhile(ready: Api, limit: int, late: int) -> None:
    for number in range(6):
        await ready.contact(f"seed-{number}")
        await ready.enroll(f"seed-{number}")
    before = await every(ready, 200)
    people = [f"late-{uuid.uuid4()}" for _ in range(late)]

    async def meanwhile() -> None:
        while people:
            person = people.pop()
            await ready.contact(person)
            await ready.enroll(person)

    assert await every(ready, limit, meanwhile) == before
    assert len(await every(ready, limit)) == len(before) + late - len(people)


async def every(api: Api, limit: int, meanwhile: object = None) -> list[str]:
    """Every enrollment's id, page by page; `meanwhile` happens after the first page."""
    seen: list[str] = []
    params: dict[str, object] = {"limit": limit}
    while True:
        page = (await api.get("/v1/enrollments", **params)).json()
        assert len(page["enrollments"]) <= limit
        seen += [one["id"] for one in page["enrollments"]]
        if callable(meanwhile) and "cursor" not in params and page["next"]:
            await meanwhile()
        if page["next"] is None:
            return seen
        params["cursor"] = page["next"]


async def test_ending_a_run_asks_it_once_and_stops_sends_at_once(ready: Api, db: Database) -> None:
    made = (await ready.enroll("user-1")).json()["id"]
    answer = await ready.call("POST", f"/v1/enrollments/{made}/end", json={"reason": "moved-to-sales"})
    assert (answer.status_code, answer.json()) == (202, {"id": made, "ending": True})
    async with db.transaction() as tx:
        told = (await tx.execute(text("SELECT payload FROM outbox WHERE kind = 'end'"))).scalars().all()
        over = await enrollments.get(tx, made)
        assert over is not None
        assert over.over == "exit"
        await enrollments.close(tx, made, "exited", "moved-to-sales")
    assert told == [{"reason": "moved-to-sales"}]
    assert (await ready.call("POST", f"/v1/enrollments/{made}/end")).json()["ending"] is False


@workflow.defn(name="NurtureTrack")
class Telling:
    """A replacement for the real run: it only answers the query."""

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.query
    def journey(self) -> Journey:
        entry = PathEntry(seq=1, step="hello", kind="email", outcome="sent", at=AT)
        return Journey(
            step="clicked",
            state="waiting",
            waiting_for="email.clicked",
            until=AT + timedelta(days=3),
            path=(entry,),
            dropped={"late": 2},
        )


async def test_a_live_run_tells_what_the_database_does_not_know_yet(
    settings: Settings, db: Database, api: Api, temporal_env: WorkflowEnvironment
) -> None:
    settings.database_url = SecretStr("")
    live = create_app(settings, db, temporal_env.client)
    await api.publish(track())
    await api.contact("user-1")
    made = (await api.enroll("user-1")).json()
    async with db.transaction() as tx:
        first = PathEntry(seq=0, step="settle", kind="wait", outcome="done", at=AT - timedelta(days=1))
        await enrollments.report_path(tx, made["id"], [first], step="hello")
    await started(db, made["id"])
    api.client._transport = httpx.ASGITransport(live)

    runner = UnsandboxedWorkflowRunner()
    async with Worker(temporal_env.client, task_queue="q", workflows=[Telling], workflow_runner=runner):
        await temporal_env.client.start_workflow("NurtureTrack", id=made["workflow_id"], task_queue="q")
        shown = (await api.get(f"/v1/enrollments/{made['id']}")).json()
    assert (shown["as_of"], shown["step"], shown["state"]) == ("run", "clicked", "waiting")
    assert (shown["waiting_for"], shown["until"]) == ("email.clicked", "2026-11-24T12:00:00Z")
    assert [entry["step"] for entry in shown["path"]] == ["settle", "hello"]
    assert shown["dropped"] == {"late": 2}

    # The worker is gone: the run cannot answer, and the reader waits for a second at most.
    asked = datetime.now(UTC)
    shown = (await api.get(f"/v1/enrollments/{made['id']}")).json()
    assert datetime.now(UTC) - asked < timedelta(seconds=3)
    assert (shown["as_of"], shown["step"]) == ("database", "hello")
    assert [entry["step"] for entry in shown["path"]] == ["settle"]


async def test_what_reaches_the_database_while_the_run_is_asked_is_told(
    ready: Api, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = (await ready.enroll("user-1")).json()["id"]
    await started(db, made)

    async def answer_after_a_message(_client: object, _workflow: str, enrollment_id: str) -> Journey:
        entry = PathEntry(seq=0, step="settle", kind="wait", outcome="done", at=AT)
        async with db.transaction() as tx:
            await enrollments.report_path(tx, enrollment_id, [entry], step="hello")
        return Journey(step="hello", state="doing email")

    monkeypatch.setattr(run_queries, "ask", answer_after_a_message)
    shown = (await ready.get(f"/v1/enrollments/{made}")).json()
    assert [entry["step"] for entry in shown["path"]] == ["settle"]
