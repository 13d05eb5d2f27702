"""Tasks are listed page by page with filters, and done once; tracks are told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from store.engine.database import Database
from tests.api.client import Api
from tests.api.crm_calls import make_task
from tests.api.messages import rows

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


async def test_pages_of_tasks_hold_each_task_once_and_filters_hold_for_all_pages(api: Api, db: Database) -> None:
    await api.contact("ann")
    await api.contact("bob")
    for number in range(5):
        due = NOW + timedelta(days=number % 2) if number else None
        await make_task(db, ("ann", "bob")[number % 2], f"T{number}", "ada" if number < 3 else None, due)
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await api.get("/v1/crm/tasks", limit=2, status="open", **cursor)).json()
        found += [one["title"] for one in page["tasks"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert found == ["T2", "T4", "T1", "T3", "T0"]
    for filters, wanted in (
        ({"owner": "ada"}, ["T2", "T1", "T0"]),
        ({"owner": ""}, ["T4", "T3"]),
        ({"contact_id": "bob"}, ["T1", "T3"]),
        ({"due_before": "2026-11-28T12:00:01Z"}, ["T2", "T4"]),
        ({"status": "done"}, []),
    ):
        answer = await api.get("/v1/crm/tasks", **filters)
        assert [one["title"] for one in answer.json()["tasks"]] == wanted, filters
    wrong = await api.get("/v1/crm/tasks", status="x", due_before="tomorrow", mine=1, limit=0)
    assert wrong.status_code == 422 and len(wrong.json()["errors"]) == 4
    assert (await api.get("/v1/crm/tasks", owner="ada", **cursor)).status_code == 422


async def test_a_task_is_done_once_with_an_outcome_and_tracks_are_told(api: Api, db: Database) -> None:
    published = await api.publish(
        "track: called\nentry: {event: crm.task_completed, where: 'event.properties.outcome == \"accepted\"'}\n"
        "steps:\n  - id: rest\n    wait: 5d\n"
    )
    assert published.status_code == 201, published.text
    await api.contact("ann")
    task = await make_task(db, "ann")
    path = f"/v1/crm/tasks/{task}"
    assert (await api.get(path)).json()["done"] is False
    body = {"outcome": "accepted", "reason": "good-fit", "by": "ada", "note": "Talked"}
    for _ in range(2):
        answer = await api.call("POST", f"{path}/complete", json=body)
        assert answer.status_code == 200, answer.text
        shown = answer.json()
        assert (shown["done"], shown["outcome"], shown["reason"], shown["done_by"]) == (
            True,
            "accepted",
            "good-fit",
            "ada",
        )
    other = await api.call("POST", f"{path}/complete", json={"outcome": "rejected"})
    assert (other.status_code, other.json()["type"]) == (409, "urn:perennial:problem:task-done")
    assert len(await rows(db, "SELECT 1 FROM enrollment")) == 1
    assert len(await rows(db, "SELECT 1 FROM event")) == 1
    assert [note["body"] for note in (await api.get("/v1/contacts/ann/crm")).json()["notes"]] == ["Talked"]


async def test_what_is_wrong_is_told_at_once_and_an_unknown_task_is_not_found(api: Api) -> None:
    unknown = "/v1/crm/tasks/0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90"
    for path in (unknown, "/v1/crm/tasks/1"):
        assert (await api.get(path)).status_code == 404
        assert (await api.call("POST", f"{path}/complete", json={})).status_code == 404
    wrong = await api.call("POST", f"{unknown}/complete", json={"outcome": "Yes!", "by": "", "x": 1})
    assert wrong.status_code == 422
    assert {one["pointer"] for one in wrong.json()["errors"]} == {"#/outcome", "#/by", "#/x"}
