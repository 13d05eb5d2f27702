"""Everything under /v1 requires a key before it reads a body."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api.http.auth import CACHE_SECONDS, Keys
from store.engine.database import Database
from store.operations import api_keys
from tests.api.client import Api


async def test_every_call_of_v1_asks_for_a_key(app: FastAPI, anonymous: httpx.AsyncClient) -> None:
    paths = app.openapi()["paths"]
    asked = 0
    for path, methods in paths.items():
        for method in methods:
            if path.startswith("/v1"):
                answer = await anonymous.request(method, path.replace("{", "").replace("}", ""))
                assert answer.status_code == 401, (method, path)
                assert answer.json()["type"] == "urn:perennial:problem:unauthorized"
                assert answer.headers["www-authenticate"]
                asked += 1
    assert asked >= 15


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer nonsense", "Basic eA==", "bearer \u00e9", "Token x"])
async def test_what_is_no_key_is_refused(anonymous: httpx.AsyncClient, header: str) -> None:
    answer = await anonymous.get("/v1/tracks", headers=[(b"Authorization", header.encode("latin-1"))])
    assert answer.status_code == 401


async def test_a_body_is_not_read_without_a_key(anonymous: httpx.AsyncClient) -> None:
    answer = await anonymous.post("/v1/events", content=b"x" * 3_000_000, headers={"Content-Type": "application/json"})
    assert answer.status_code == 401


async def test_a_key_works_and_is_not_kept_in_the_database(api: Api, db: Database, key: str) -> None:
    assert (await api.get("/v1/tracks")).status_code == 200
    async with db.transaction() as tx:
        assert key not in str((await tx.execute(text("SELECT t::text FROM api_key t"))).scalars().all())


async def test_a_revoked_key_stops_working_when_the_memory_of_it_ends(db: Database) -> None:
    now = 0.0
    known = Keys(db, clock=lambda: now)
    async with db.transaction() as tx:
        key, secret = await api_keys.create(tx, "tests")
    assert await known.valid(secret)
    async with db.transaction() as tx:
        await api_keys.revoke(tx, key.id)
    assert await known.valid(secret)
    now = CACHE_SECONDS + 1
    assert not await known.valid(secret)


async def test_the_memory_of_keys_is_bounded(db: Database) -> None:
    known = Keys(db)
    for number in range(50):
        assert not await known.valid(f"pk_{number}")
    assert known._known == {}
