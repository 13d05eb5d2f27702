"""Imports over HTTP: stored while they arrive, refused at once if the header is wrong, controlled and read."""

from __future__ import annotations

import csv
import gzip
import json
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from activities.contract import ChunkCall
from activities.imports.import_chunks import ImportActivities
from api.resources.imports import import_receiver
from store.engine.database import Database
from store.runs.imports import imports
from tests.api.client import Api, track

CSV = {"Content-Type": "text/csv"}
THREE = "contact_id,email,plan\nuser-1,ada@example.com,pro\nuser-2,bob@,pro\nuser-3,,free\n"


@pytest.fixture
async def ready(api: Api) -> Api:
    await api.publish(track())
    return api


async def send(api: Api, body: Any, *, headers: dict[str, str] | None = None, **params: Any) -> httpx.Response:
    given = {"track": "welcome"} | params
    return await api.call("POST", "/v1/imports", params=given, content=body, headers=CSV | (headers or {}))


async def apply(db: Database, import_id: str) -> None:
    """Apply the import as the workflow does."""

    async def nobody_is_busy() -> str:
        return ""

    activities = ImportActivities(db, nobody_is_busy)
    while (await activities.apply_chunk(ChunkCall(import_id=import_id))).state == "running":
        pass


async def count(db: Database, table: str) -> int:
    async with db.transaction() as tx:
        return int((await tx.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())


async def test_a_file_is_received_then_applied_and_every_bad_row_is_named(ready: Api, db: Database) -> None:
    answer = await send(ready, THREE, per_second=50)
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["state"], job["rows"], job["done"], job["per_second"]) == ("running", 3, 0, 50)
    await apply(db, job["id"])
    job = (await ready.get(f"/v1/imports/{job['id']}")).json()
    assert (job["state"], job["done"], job["outcomes"]) == ("completed", 3, {"enrolled": 2, "bad": 1})
    problems = await ready.get(f"/v1/imports/{job['id']}/problems")
    assert problems.headers["content-type"].startswith("text/csv")
    assert problems.text.splitlines() == [
        "line,kind,contact_id,field,reason",
        "3,bad,user-2,email,There must be something after the @-sign.",
    ]
    contact = (await ready.get("/v1/contacts/user-1")).json()
    assert (contact["email"], contact["attributes"]) == ("ada@example.com", {"plan": "pro"})


async def test_a_spreadsheets_own_spelling_and_line_ends_are_understood(ready: Api, db: Database) -> None:
    body = "\ufeffContact_ID, EMAIL ,Plan\ruser-1,ada@example.com,pro\r\nuser-2,bob@example.com,free\r"
    job = (await send(ready, body)).json()
    assert job["rows"] == 2
    await apply(db, job["id"])
    contact = (await ready.get("/v1/contacts/user-1")).json()
    assert (contact["email"], contact["attributes"]) == ("ada@example.com", {"Plan": "pro"})


async def test_json_lines_and_gzip_are_read_as_well(ready: Api, db: Database) -> None:
    body = '{"contact_id": "user-1", "attributes": {"n": 3}, "properties": {"plan": "team"}}\n{"contact_id": 7}\n'
    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
    job = (await send(ready, gzip.compress(body.encode()), headers=headers)).json()
    await apply(db, job["id"])
    found = (await ready.get(f"/v1/imports/{job['id']}")).json()
    assert found["outcomes"] == {"enrolled": 1, "bad": 1}
    [enrollment] = (await ready.get("/v1/enrollments")).json()["enrollments"]
    detail = (await ready.get(f"/v1/enrollments/{enrollment['id']}")).json()
    assert detail["properties"] == {"plan": "team"}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("mail,mail\nx,y\n", 422, ["are the same", "no column `contact_id`"]),
        ("contact_id,E-Mail\nuser-1,ada@example.com\n", 422, ["did you mean `email`?"]),
        ('"contact_id\nuser-1\n', 422, ["opens a quote"]),
        ("contact_id\n", 422, []),
        ("", 422, ["no row"]),
        (b"\xff\xfec\x00", 400, []),
    ],
    ids=["wrong columns", "no column for addresses", "an open quote", "no rows", "nothing", "UTF-16"],
)
async def test_what_is_no_file_of_contacts_is_refused_at_once_and_leaves_nothing(
    ready: Api, db: Database, body: str | bytes, status: int, words: list[str]
) -> None:
    answer = await send(ready, body)
    assert answer.status_code == status
    assert all(word in answer.text for word in words), answer.text
    assert await count(db, "import_job") == 0


async def test_other_kinds_unknown_tracks_and_odd_wishes_are_refused(ready: Api) -> None:
    assert (await send(ready, THREE, headers={"Content-Type": "application/pdf"})).status_code == 415
    assert (await send(ready, THREE, headers={"Content-Encoding": "br"})).status_code == 415
    assert (await send(ready, THREE, headers={"Content-Encoding": "gzip"})).status_code == 400
    assert (await send(ready, THREE, track="unheard-of")).status_code == 404
    assert (await send(ready, THREE, per_second=0)).status_code == 422
    assert (await ready.get("/v1/imports/nothing")).status_code == 404
    assert (await ready.call("POST", "/v1/imports/nothing/pause")).status_code == 404


async def test_an_upload_that_breaks_off_is_given_up_with_its_rows(app: FastAPI, ready: Api, db: Database) -> None:
    """The client disconnects after more than a thousand rows."""
    lines = b"".join(b"user-%d,u%d@people.test,pro\n" % (n, n) for n in range(1500))
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"contact_id,email,plan\n" + lines, "more_body": True},
        {"type": "http.disconnect"},
    ]
    kept = 0

    async def receive() -> dict[str, Any]:
        nonlocal kept
        kept = max(kept, await count(db, "import_chunk"))
        return messages.pop(0)

    async def ignore(_message: Any) -> None:
        pass

    headers = [(b"authorization", f"Bearer {ready.key}".encode()), (b"content-type", b"text/csv")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/imports",
        "query_string": b"track=welcome",
        "headers": [*headers, (b"transfer-encoding", b"chunked")],
    }
    await app(scope, receive, ignore)
    assert kept > 0
    assert await count(db, "import_chunk") == 0
    [job] = (await ready.get("/v1/imports")).json()["imports"]
    assert (job["state"], job["reason"]) == ("failed", imports.BROKEN_OFF)


async def test_the_same_key_again_is_the_same_import(ready: Api, db: Database) -> None:
    key = {"Idempotency-Key": "list-of-march"}
    first = await send(ready, THREE, headers=key)
    again = await send(ready, THREE, headers=key)
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json()["id"] == first.json()["id"]
    assert await count(db, "import_job") == 1


async def test_an_unfinished_upload_gives_way_to_its_repetition(ready: Api, db: Database) -> None:
    """The API process died during the first upload, so nobody can finish it."""
    async with db.transaction() as tx:
        dead = await imports.begin(tx, "welcome", {}, per_second=1, idempotency_key="k")
    answer = await send(ready, THREE, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 202
    assert (await ready.get(f"/v1/imports/{dead.id}")).json()["state"] == "failed"


async def test_it_is_paused_resumed_slowed_and_cancelled(ready: Api, db: Database) -> None:
    job = (await send(ready, THREE)).json()
    at = f"/v1/imports/{job['id']}"
    assert (await ready.call("POST", f"{at}/pause")).json()["state"] == "paused"
    assert (await ready.call("POST", f"{at}/rate", json={"per_second": 2})).json()["per_second"] == 2
    await apply(db, job["id"])
    assert await count(db, "enrollment") == 0
    assert (await ready.call("POST", f"{at}/resume")).json()["state"] == "running"
    cancelled = (await ready.call("POST", f"{at}/cancel")).json()
    assert cancelled["state"] == "cancelled" and cancelled["ended_at"]
    assert await count(db, "import_chunk") == 0
    refused = await ready.call("POST", f"{at}/resume")
    assert (refused.status_code, refused.json()["detail"]) == (409, "The import is cancelled.")
    async with db.transaction() as tx:
        [told] = await imports.untold(tx)  # the workflow gets the end too, otherwise it would wait for ever
    assert told.id == job["id"]


async def test_lists_are_newest_first_in_pages(ready: Api) -> None:
    ids = [(await send(ready, THREE)).json()["id"] for _ in range(3)]
    page = (await ready.get("/v1/imports", limit=2, state="running")).json()
    assert [one["id"] for one in page["imports"]] == ids[:0:-1]
    rest = (await ready.get("/v1/imports", limit=2, state="running", cursor=page["next"])).json()
    assert ([one["id"] for one in rest["imports"]], rest["next"]) == (ids[:1], None)


async def test_a_body_of_any_size_takes_the_same_memory(ready: Api, db: Database) -> None:
    """With five times the rows, the peak memory stays the same. The body alone would need 5 MB more."""

    async def body(rows: int) -> AsyncIterator[bytes]:
        yield b"contact_id,email,note\n"
        for number in range(rows):
            yield b"user-%d,u%d@people.test,%s\n" % (number, number, b"x" * 1000)

    async def most(rows: int) -> int:
        # httpx collects the whole body for an app in this process, so the receiver itself is measured
        wanted = {"track": "welcome", "options": {"format": "csv"}, "per_second": 1}
        receiver = import_receiver.Receiver(db, "csv", ",", "contact_id", wanted)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        assert (await receiver.take(body(rows))).rows == rows
        return tracemalloc.get_traced_memory()[1] - before

    await most(100)
    tracemalloc.start()
    try:
        little, much = await most(1_200), await most(6_000)
    finally:
        tracemalloc.stop()
    assert much < little + 1_000_000


async def test_what_is_old_is_tidied_up(ready: Api, db: Database) -> None:
    running = (await send(ready, THREE)).json()["id"]
    ended = (await send(ready, THREE)).json()["id"]
    await apply(db, ended)
    async with db.transaction() as tx:
        silent = await imports.begin(tx, "welcome", {}, per_second=1)
        await tx.execute(
            text("UPDATE import_job SET created_at = created_at - interval '31 days' WHERE state = 'running'")
        )
        await tx.execute(text("UPDATE import_job SET ended_at = ended_at - interval '31 days'"))
        await tx.execute(text("UPDATE import_job SET heard_at = heard_at - interval '11 minutes'"))
        await imports.tidy(tx)
    assert (await ready.get(f"/v1/imports/{ended}")).status_code == 404
    given_up = (await ready.get(f"/v1/imports/{running}")).json()
    assert (given_up["state"], given_up["reason"]) == ("cancelled", imports.TOO_OLD)
    assert (await ready.get(f"/v1/imports/{silent.id}")).json()["state"] == "failed"
    assert await count(db, "import_chunk") == 0
    assert await count(db, "import_problem") == 0


async def test_the_answer_holds_no_row(ready: Api) -> None:
    job = (await send(ready, THREE)).json()
    assert "example.com" not in json.dumps(job)


async def test_what_is_downloaded_is_no_formula_for_a_spreadsheet(ready: Api, db: Database) -> None:
    ids = ["=1+1|calc", "-2+3x", "@SUM", "+x", "\uff1dA1", "fine"]
    body = "contact_id,timezone\n" + "".join(f"{one},Nowhere\n" for one in ids)
    job = (await send(ready, body.encode())).json()
    await apply(db, job["id"])
    told = (await ready.get(f"/v1/imports/{job['id']}/problems")).text
    shown = {line[2] for line in csv.reader(told.splitlines()[1:])}
    assert {"fine", "'=1+1|calc"} <= shown
    assert not [cell for cell in shown if cell.startswith(("=", "+", "-", "@", "\uff1d"))]
