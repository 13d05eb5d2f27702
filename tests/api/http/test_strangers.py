"""Callers without a key cannot block the API: connections that send nothing, or slowly, do not delay others."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from api.app import create_app
from api.http import server
from api.http.bodies import arrival, reading
from api.http.bodies.arrival import Arrivals
from api.http.metrics import Metrics
from api.http.overload import Admission, Line, RefuseOverload, Visit
from api.http.problems import ProblemError
from settings import Settings
from store.engine.database import Database
from tests.api.client import track
from tests.api.server import serve

QUICKLY = 2.0
"""Seconds for an answer on a busy machine. A call that has to wait takes 5."""
Socket = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
def app(settings: Settings, db: Database) -> FastAPI:
    """An API with only the places of one body of 1 MiB."""
    return create_app(settings.model_copy(update={"requests_at_once": 32}), db)


@asynccontextmanager
async def sockets(url: str, said: bytes, count: int) -> AsyncIterator[list[Socket]]:
    """`count` connections on which `said` has been sent, and no more."""
    parts = urlsplit(url)
    opened = [await asyncio.open_connection(parts.hostname, parts.port) for _ in range(count)]
    for _, writer in opened:
        writer.write(said)
        await writer.drain()
    try:
        yield opened
    finally:
        for _, writer in opened:
            writer.close()


def begun(path: str, announced: int, sent: bytes = b"x", more: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {announced}\r\n{more}\r\n".encode() + sent


async def served_quickly(url: str, key: str) -> None:
    """Check that calls of people, providers and backends are served quickly."""
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
        for method, path, status in (
            ("GET", "/v1/tracks", 200),
            ("POST", "/u/nobody", 404),
            ("GET", "/u/nobody", 404),
            ("POST", "/webhooks/ses", 403),
            ("GET", "/c/nobody", 404),
        ):
            body = "{}" if method == "POST" else None
            since = time.monotonic()
            answer = await client.request(method, path, content=body, headers={"Authorization": f"Bearer {key}"})
            assert (answer.status_code, path) == (status, path)
            assert time.monotonic() - since < QUICKLY, path


@pytest.mark.parametrize(
    ("said", "count"),
    [
        pytest.param(begun("/webhooks/ses", 1 << 20), 4, id="four that announce 1 MiB"),
        pytest.param(begun("/u/x", 5 << 20), 4, id="four that announce 5 MiB"),
        pytest.param(begun("/webhooks/ses", 1000), 150, id="many that announce little"),
        pytest.param(begun("/webhooks/ses", 1 << 20, b"x" * 700_000), 4, id="four that have sent the most of it"),
        pytest.param(begun("/v1/events", 1 << 20, more="Authorization: Bearer pk_x\r\n"), 40, id="with a wrong key"),
        pytest.param(
            b"POST /webhooks/twilio/inbound HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
            40,
            id="that announce nothing",
        ),
        pytest.param(b"GET /v1/tracks HTTP/1.1\r\nHost: a\r\nX: ", 150, id="half requests"),
        pytest.param(b"", 150, id="that say nothing"),
    ],
)
async def test_idle_connections_keep_nobody_waiting(app: FastAPI, key: str, said: bytes, count: int) -> None:
    async with serve(app) as url, sockets(url, said, count):
        await asyncio.sleep(0.3)
        await served_quickly(url, key)


async def test_a_body_that_comes_too_slowly_is_answered_408_and_the_connection_closed(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrival, "SECONDS", 0.5)
    async with serve(app) as url, sockets(url, begun("/webhooks/ses", 1000), 3) as opened:
        for reader, _ in opened:
            async with asyncio.timeout(20):
                answer = await reader.read()
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 408 ")
            assert json.loads(body)["type"] == "urn:perennial:problem:too-slow"


async def test_a_body_that_comes_in_pieces_is_served(app: FastAPI, key: str) -> None:
    async def pieces(size: int) -> AsyncIterator[bytes]:
        yield b'{"text": "'
        for _ in range(4):
            await asyncio.sleep(0.1)
            yield b"x" * (size // 4)
        yield b'"}'

    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    async with serve(app) as url, httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
        answer = await client.post("/v1/events", content=pieces(900_000), headers=headers)
        assert answer.status_code == 422
        assert (await client.post("/v1/events", content=pieces(1 << 20), headers=headers)).status_code == 413


@pytest.mark.parametrize(
    ("path", "announced"), [("/webhooks/ses", 1 << 21), ("/v1/events", 1 << 21), ("/v1/batch", 6 << 20)]
)
async def test_a_body_that_announces_too_much_is_refused_unread(
    app: FastAPI, key: str, path: str, announced: int
) -> None:
    said = f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    async with serve(app) as url, sockets(url, begun(path, announced, b"", said), 1) as [(reader, _)]:
        async with asyncio.timeout(QUICKLY):
            assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")


async def test_a_bad_link_is_refused_before_the_body_is_read(app: FastAPI) -> None:
    async with serve(app) as url, sockets(url, begun("/u/nobody", 1000), 1) as [(reader, _)]:
        async with asyncio.timeout(QUICKLY):
            assert (await reader.readline()).startswith(b"HTTP/1.1 404 ")


async def test_a_caller_who_hangs_up_amid_a_body_is_no_failure_of_the_server(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(app) as url:
        async with sockets(url, begun("/webhooks/ses", 1000), 3):
            await asyncio.sleep(0.2)
        await asyncio.sleep(0.2)
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            figures = (await client.get("/metrics")).text
    assert 'route="/webhooks/ses",status="400"} 3.0' in figures
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"GET /healthz HTTP/1.1\r\nX-Long: " + b"x" * 400_000, id="one header without an end"),
        pytest.param(b"GET /healthz HTTP/1.1\r\nX-Long: " + b"x" * 70_000 + b"\r\n\r\n", id="one long header"),
        pytest.param(b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 300 + b"\r\n", id="many headers"),
        pytest.param(b"GET /" + b"x" * 400_000, id="an address without an end"),
    ],
)
async def test_headers_are_bounded(app: FastAPI, said: bytes) -> None:
    async with serve(app) as url, sockets(url, said, 1) as [(reader, _)]:
        async with asyncio.timeout(20):
            assert (await reader.readline()).startswith(b"HTTP/1.1 431 ")


CHUNKED = b" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
AFTER_A_BODY = [
    pytest.param(b"0\r\nX: " + b"x" * 400_000, id="one trailer without an end"),
    pytest.param(b"0\r\n" + b"X: y\r\n" * 60_000, id="many trailers"),
    pytest.param(b"1;" + b"x" * 400_000, id="an extension of a chunk without an end"),
]


@pytest.mark.parametrize("said", AFTER_A_BODY)
async def test_what_is_no_body_amid_a_chunked_one_is_bounded(app: FastAPI, said: bytes) -> None:
    async with serve(app) as url, asyncio.timeout(20):
        async with sockets(url, b"POST /webhooks/ses" + CHUNKED + said, 1) as [(reader, _)]:
            assert (await reader.readline()).startswith(b"HTTP/1.1 431 ")
        async with sockets(url, b"POST /u/x" + CHUNKED, 1) as [(reader, writer)]:  # answered before its body is read
            answer = await reader.readuntil(b"}")
            writer.write(said)
            with suppress(ConnectionResetError):
                answer += await reader.read()
            assert answer.count(b"HTTP/1.1 ") == 1
            assert answer.startswith(b"HTTP/1.1 404 ")


@asynccontextmanager
async def served_slowly(said: bytes) -> AsyncIterator[tuple[*Socket, asyncio.Event]]:
    """A connection to a server that reports the headers of a request and its body's size after the event is set."""
    app, may = FastAPI(), asyncio.Event()

    @app.post("/")
    async def tell(request: Request) -> dict[str, Any]:
        await may.wait()
        return {"size": len(await request.body()), "named": sorted(request.headers)}

    async with serve(app) as url, sockets(url, said, 1) as [(reader, writer)], asyncio.timeout(20):
        yield reader, writer, may


async def test_trailers_are_no_headers() -> None:
    trailer = b"0\r\nAuthorization: Bearer x\r\n\r\n"
    async with served_slowly(b"POST /" + CHUNKED + trailer) as (reader, _, may):
        may.set()
        answer = await reader.readuntil(b"}")
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"size": 1, "named": ["host", "transfer-encoding"]}


@pytest.mark.parametrize(
    "next_said",
    [
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"x" * 10_000, id="too large a header"),
        pytest.param(b"GET / HTTP/1.1\r\nX: ", id="half a request"),
        pytest.param(b"\x16\x03\x01", id="no HTTP"),
        pytest.param(b"\r\n" * 5_000, id="line ends"),
    ],
)
async def test_what_was_asked_is_answered_before_what_follows_is_refused(
    next_said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.3)
    for bound in ("HEAD_BYTES", "CHUNK_BYTES"):
        monkeypatch.setattr(server, bound, 1000)
    one = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
    async with served_slowly(one * 2 + next_said) as (reader, _, may):
        await asyncio.sleep(0.6)
        may.set()
        answers = await reader.read()
    assert answers.count(b"HTTP/1.1 200 ") == answers.count(b"HTTP/1.1 ") == 2
    assert answers.count(b"connection: close") == 1


async def test_the_body_of_a_request_behind_an_answered_one_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LINGER", 0.2)
    one = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx"
    async with served_slowly(one + b"x" + one) as (reader, writer, may):
        may.set()
        await reader.readuntil(b"}")
        await asyncio.sleep(0.6)
        writer.write(b"x")
        assert b'"size":2' in await reader.readuntil(b"}")


async def closed_though_told(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytes) -> None:
    """Check that the connection is closed within some seconds, although `said` is sent on it repeatedly."""
    closed = asyncio.create_task(reader.read())
    for _ in range(100):
        writer.write(said)
        await asyncio.sleep(0.05)
        if closed.done():
            return
    raise AssertionError("still open")


async def test_line_ends_keep_no_connection(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.5)
    async with serve(app) as url, sockets(url, b"GET /healthz HTTP/1.1\r\n\r\n", 1) as [(reader, writer)]:
        await reader.readuntil(b'{"status":"ok"}')
        await closed_though_told(reader, writer, b"\r\n")


async def test_requests_ahead_of_their_answers_are_bounded(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = looked_at = 0
    keep, look_at = RequestResponseCycle.__init__, server.BoundedProtocol.on_message_begin

    def counted(self: RequestResponseCycle, *args: Any, **named: Any) -> None:
        nonlocal kept
        kept += 1
        keep(self, *args, **named)

    def begun(self: server.BoundedProtocol) -> None:
        nonlocal looked_at
        looked_at += 1
        look_at(self)

    monkeypatch.setattr(RequestResponseCycle, "__init__", counted)
    monkeypatch.setattr(server.BoundedProtocol, "on_message_begin", begun)
    one = b"GET /u/x HTTP/1.1\r\n\r\n"
    few, many = b"GET /healthz HTTP/1.1\r\n\r\n" * server.AHEAD, one * 50_000
    async with serve(app) as url, sockets(url, many, 1) as [(reader, _)], asyncio.timeout(20):
        answers = await reader.read()
        assert answers.count(b"HTTP/1.1 404 ") == kept <= server.AHEAD + 1
        assert answers.count(b"connection: close") == 1
        assert looked_at < server.AHEAD + 2 * server.CHUNK_BYTES // len(one)
        async with sockets(url, few, 1) as [(reader, _)]:
            for _ in range(server.AHEAD):
                await reader.readuntil(b'{"status":"ok"}')


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small socket buffers: what a client does not read stays in the API's memory."""
    begin = server.BoundedProtocol.connection_made

    def with_little_room(self: server.BoundedProtocol, transport: asyncio.Transport) -> None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        begin(self, transport)

    monkeypatch.setattr(server.BoundedProtocol, "connection_made", with_little_room)


@pytest.mark.usefixtures("little_room")
async def test_an_answer_that_nobody_reads_is_given_up(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "UNREAD_SECONDS", 0.5)
    lost, lose = asyncio.Event(), server.BoundedProtocol.connection_lost

    def noted(self: server.BoundedProtocol, exc: Exception | None) -> None:
        lost.set()
        lose(self, exc)

    monkeypatch.setattr(server.BoundedProtocol, "connection_lost", noted)
    many = b"GET /openapi.json HTTP/1.1\r\n\r\n" * server.AHEAD
    async with serve(app) as url, sockets(url, many, 2):  # their readers buffer at most 64 KiB
        async with asyncio.timeout(4):  # a connection without a request is closed after 5 s
            await lost.wait()


@pytest.mark.usefixtures("little_room")
@pytest.mark.parametrize("least", [2_000, 1 << 30])
async def test_who_reads_slowly_is_answered_to_the_end(monkeypatch: pytest.MonkeyPatch, least: int) -> None:
    monkeypatch.setattr(server, "UNREAD_SECONDS", 0.2)
    monkeypatch.setattr(server, "READ_BYTES", least)
    app, text = FastAPI(), "x" * 4_000_000
    app.add_api_route("/", lambda: PlainTextResponse(text))
    read = 0
    async with serve(app) as url, sockets(url, b"GET / HTTP/1.0\r\n\r\n", 1) as [(reader, _)], asyncio.timeout(20):
        with suppress(ConnectionResetError):
            while part := await reader.read(100_000):
                read += len(part)
                await asyncio.sleep(0.02)
    assert (read > len(text)) is (least == 2_000)


async def test_who_has_been_answered_and_does_not_read_has_no_place() -> None:
    admission = Admission(places=1, waiting=1, patience=1)
    unread = asyncio.Event()

    async def answers(scope: Scope, receive: Receive, send: Send) -> None:
        assert admission.taken == 1
        await PlainTextResponse("so")(scope, receive, send)

    async def sent(message: Message) -> None:
        unread.set()
        await asyncio.Event().wait()

    scope = {"type": "http", "path": "/u/x", "headers": [], "method": "GET"}
    served = asyncio.create_task(RefuseOverload(answers, admission, Metrics())(scope, _nothing, sent))
    await unread.wait()
    assert admission.taken == 0
    served.cancel()


async def _nothing() -> Message:
    return await asyncio.Future()


async def test_half_requests_and_silent_connections_are_closed_in_time(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.5)
    async with serve(app) as url:
        async with sockets(url, b"GET /healthz HTTP/1.1\r\nX: ", 1) as [(reader, _)], asyncio.timeout(20):
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        async with sockets(url, b"", 1) as [(reader, _)], asyncio.timeout(20):
            assert await reader.read() == b""
        async with sockets(url, b"GET /healthz HTTP/1.1\r\n\r\n", 1) as [(reader, writer)], asyncio.timeout(20):
            assert (await reader.readuntil(b'{"status":"ok"}')).startswith(b"HTTP/1.1 200 ")
            await asyncio.sleep(1)
            writer.write(b"GET /healthz HTTP/1.1\r\n\r\n")
            assert (await reader.readuntil(b'{"status":"ok"}')).startswith(b"HTTP/1.1 200 ")


async def test_the_rest_of_a_body_that_was_answered_is_not_taken_for_ever(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LINGER", 0.5)
    async with serve(app) as url, sockets(url, begun("/v1/events", 100_000), 1) as [(reader, writer)]:
        assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
        await closed_though_told(reader, writer, b"x")


async def test_strangers_together_have_a_share_and_keep_nobody_else_waiting() -> None:
    admission = Admission(places=16, waiting=5, patience=30)
    assert [await admission.enter(1, Line.STRANGER) for _ in range(4)] == [True] * 4
    waits = asyncio.create_task(admission.enter(1, Line.STRANGER))
    await asyncio.sleep(0)
    assert not waits.done()
    assert await admission.enter(8, Line.OTHER)
    assert await admission.enter(1, Line.URGENT)
    admission.vouched(1)
    assert await waits
    assert (admission.taken, admission.strangers) == (14, 4)


LINES = st.sampled_from(list(Line))


@given(st.lists(st.tuples(LINES, st.integers(1, 40), st.booleans()), max_size=30), st.integers(1, 40))
def test_places_are_counted_right_whoever_comes_and_goes(steps: list[tuple[Line, int, bool]], places: int) -> None:
    async def play() -> None:
        admission = Admission(places, waiting=3, patience=0.01)
        inside: list[tuple[int, Line]] = []
        for line, size, leaves in steps:
            cost = admission.cost(size << 15, line)
            if await admission.enter(cost, line):
                inside.append((cost, line))
            if leaves and inside:
                admission.leave(*inside.pop(0))
            assert admission.taken == sum(held for held, _ in inside) <= max(places, inside[0][0] if inside else 0)
            assert admission.strangers == sum(held for held, line in inside if line is Line.STRANGER) <= admission.share
        for held, line in inside:
            admission.leave(held, line)
        assert (admission.taken, admission.strangers) == (0, 0)

    asyncio.run(play())


async def test_the_memory_of_slow_bodies_is_bounded_by_giving_up_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrival, "HELD_FOR_STRANGERS", 100_000)
    held, admission, metrics = Arrivals(), Admission(100, 5, 30), Metrics()

    async def slow() -> bytes:
        first = True

        async def receive() -> dict[str, object]:
            nonlocal first
            if first:
                first = False
                return {"type": "http.request", "body": b"x" * 40_000, "more_body": True}
            await asyncio.sleep(60)
            raise AssertionError

        return await held.whole(receive, 1 << 20, Visit(admission, "/u/x", metrics))

    tasks = []
    for _ in range(5):
        tasks.append(asyncio.create_task(slow()))
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.2)
    assert [task.done() for task in tasks] == [True, True, True, False, False]
    for task in tasks[:3]:
        with pytest.raises(ProblemError) as caught:
            await task
        assert caught.value.status_code == 408
    assert held.held == {True: 80_000, False: 0}
    for task in tasks[3:]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (held.held, admission.taken) == ({True: 0, False: 0}, 0)


def test_nothing_of_slow_bodies_is_left_over() -> None:
    assert reading._ARRIVALS.held == {True: 0, False: 0}


async def test_a_small_body_costs_one_place_and_a_large_one_more(app: FastAPI, key: str) -> None:
    admission = Admission(128, 5, 30)
    assert admission.cost(0, Line.OTHER) == 1
    assert admission.cost(5 << 20, Line.OTHER) == 40
    assert admission.cost(1 << 20, Line.STRANGER) == 32
    assert admission.cost(5 << 20, Line.STRANGER) == 32
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/yaml"}
    async with serve(app) as url, httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
        long = track() + "# " + "x" * 400_000
        assert (await client.put("/v1/tracks/welcome", content=long, headers=headers)).status_code == 201
