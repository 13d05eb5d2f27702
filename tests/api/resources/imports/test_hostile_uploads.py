"""An upload with any content does not delay other requests, and ends when its sender is gone."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from api.resources.imports import upload_lines
from store.engine.database import Database
from tests.api.client import Api, track
from tests.api.messages import rows
from tests.api.server import serve

CSV = {"Content-Type": "text/csv"}
LINES = {"Content-Type": "application/x-ndjson"}
QUICKLY = 2.0
"""Seconds for /healthz on a busy machine."""


@pytest.fixture
async def caller(app: FastAPI, api: Api, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a real server, with a key."""
    await api.publish(track("win-back"))
    headers = {"Authorization": f"Bearer {key}"}
    async with serve(app) as url, httpx.AsyncClient(base_url=url, trust_env=False, timeout=120) as client:
        client.headers.update(headers)
        yield client


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        pytest.param(b"contact_id\n" + b"\n" * (20 << 20), CSV, 413, id="empty lines"),
        pytest.param(b"contact_id\n" + b"a\n" + b"\n" * 3_000_000 + b"a\n", CSV, 413, id="with a row between"),
        pytest.param(b"contact_id\n" + b",\n" * (5 << 20), CSV, 413, id="rows of nothing"),
        pytest.param(b'{"contact_id": "a"}\n' + b" \n" * (5 << 20), LINES, 413, id="empty JSON Lines"),
        pytest.param(b"contact_id\n" + b'"' * (3 << 20), CSV, 202, id="quotes"),
        pytest.param(b"contact_id\n" + b"x" * (40 << 20), CSV, 413, id="one line"),
    ],
)
async def test_others_are_answered_while_a_bomb_is_unpacked(
    caller: httpx.AsyncClient, body: bytes, headers: dict[str, str], status: int
) -> None:
    zipped = {"Content-Encoding": "gzip", **headers}
    packed = await asyncio.to_thread(gzip.compress, body)
    sending = asyncio.create_task(caller.post("/v1/imports?track=win-back", content=packed, headers=zipped))
    worst = 0.0
    while not sending.done():
        since = time.monotonic()
        assert (await caller.get("/healthz")).status_code == 200
        worst = max(worst, time.monotonic() - since)
    assert (await sending).status_code == status, (await sending).text
    assert worst < QUICKLY


async def test_what_a_body_unzips_to_is_bounded_by_what_came(
    caller: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_lines, "FREE_RATIO", 1 << 16)
    packed = gzip.compress(b"contact_id\n" + b"user-1\n" * (1 << 17))
    headers = {"Content-Encoding": "gzip", **CSV}
    answer = await caller.post("/v1/imports?track=win-back", content=packed, headers=headers)
    assert (answer.status_code, "100 times" in answer.json()["detail"]) == (413, True)


async def test_an_upload_that_falls_silent_or_breaks_off_is_given_up(
    caller: httpx.AsyncClient, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_lines, "SILENCE", 0.5)

    async def pieces(pause: float) -> AsyncIterator[bytes]:
        yield b"contact_id\n" + b"".join(b"user-%d\n" % number for number in range(5000))
        await asyncio.sleep(pause)

    answer = await caller.post("/v1/imports?track=win-back", content=pieces(5), headers=CSV)
    assert answer.status_code == 408
    monkeypatch.setattr(upload_lines, "SILENCE", 60)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await caller.post("/v1/imports?track=win-back", content=pieces(30), headers=CSV)
    await asyncio.sleep(0.5)
    assert await rows(db, "SELECT state, reason FROM import_job") == [("failed", "the upload broke off")] * 2
