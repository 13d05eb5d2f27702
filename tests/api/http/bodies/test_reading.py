"""Bodies are bounded, and values that the database cannot hold are refused."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from hypothesis import given
from hypothesis import strategies as st

from api.http import problems
from api.http.auth import OpenRoute
from api.http.bodies.reading import SINGLE, parse_form, parse_json, storable
from api.http.problems import ProblemError

router = APIRouter(route_class=OpenRoute)


@router.post("/size")
async def size(body: dict[str, Any]) -> int:
    return len(body["text"])


app = FastAPI()
app.include_router(router)
problems.install(app)


async def post(content: bytes, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await client.post("/size", content=content, headers={"content-type": "application/json"} | named)


async def test_a_body_past_the_bound_is_refused_with_the_bound() -> None:
    answer = await post(b'{"text": "' + b"x" * SINGLE + b'"}')
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    assert "1,048,576" in answer.json()["detail"]


async def test_a_gzip_body_is_unzipped() -> None:
    answer = await post(gzip.compress(b'{"text": "hello"}', mtime=0), content_encoding="gzip")
    assert answer.json() == 5


async def test_a_zip_bomb_is_refused_by_its_unzipped_size() -> None:
    bomb = gzip.compress(b'{"text": "' + b"x" * 50_000_000 + b'"}', mtime=0)
    assert len(bomb) < SINGLE
    assert (await post(bomb, content_encoding="gzip")).status_code == 413


@pytest.mark.parametrize(
    ("content", "encoding", "status"),
    [
        (b"not gzip", "gzip", 400),
        (gzip.compress(b'{"text": "hello"}', mtime=0)[:-9], "gzip", 400),
        (b"{}", "br", 415),
        (b"{nonsense", "identity", 400),
        (b"\xff\xfe", "identity", 400),
        (b"[" * 100_000, "identity", 400),
        (b"1" * 10_000, "identity", 400),
    ],
)
async def test_a_body_that_cannot_be_read_is_a_problem_of_the_sender(
    content: bytes, encoding: str, status: int
) -> None:
    assert (await post(content, content_encoding=encoding)).status_code == status


def test_everything_unstorable_is_named_at_once() -> None:
    body = (
        b'{"a": "x\\u0000", "b/c": [1, 1e999, "\\ud800"], "d": 9223372036854775808, "e": NaN, "ok": "\\ud83d\\ude00"}'
    )
    with pytest.raises(ProblemError) as caught:
        parse_json(body)
    assert caught.value.status_code == 422
    assert {error.pointer for error in caught.value.errors} == {"#/a", "#/b~1c/1", "#/b~1c/2", "#/d", "#/e"}


def test_nesting_is_bounded() -> None:
    assert storable(json.loads("[" * 31 + "]" * 31)) == []
    assert len(storable(json.loads("[" * 40 + "]" * 40))) == 1


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_what_is_storable_survives_the_database_drivers_json(value: Any) -> None:
    if storable(value):
        return
    written = json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    assert b"\\u0000" not in written
    assert json.loads(written) == value


@given(st.binary())
def test_no_bytes_break_the_reader(body: bytes) -> None:
    for read in (parse_json, parse_form):
        try:
            read(body)
        except ProblemError:
            pass


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-32-be"])
def test_json_is_read_in_utf8_only(encoding: str) -> None:
    with pytest.raises(ProblemError) as caught:
        parse_json('{"text": "hello"}'.encode(encoding))
    assert caught.value.status_code == 400
    assert parse_json('{"text": "hello"}'.encode("utf-8-sig")) == {"text": "hello"}


def test_the_values_of_a_body_are_bounded_because_each_is_looked_at() -> None:
    for value in (b"[]", b"1", b'{"a":1}'):
        with pytest.raises(ProblemError) as caught:
            parse_json(b"[" + b",".join([value] * 300_000) + b"]")
        assert caught.value.status_code == 413
    assert len(parse_json(b"[" + b",".join([b'"' + b"x" * 100 + b'"'] * 50_000) + b"]")) == 50_000
