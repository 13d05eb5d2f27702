"""Send prepared HTTP requests over keep-alive connections from a process of its own.

It uses plain sockets instead of an HTTP client, so that the load takes only a tenth of the server's CPU and does not
distort the measurement. `python -m bench.installation.http_load PLAN` prints `ready`, waits for a line, sends the
requests, and prints the result.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import uvloop

from bench.installation.one_process import PROJECT, PYTHON
from bench.measuring.http_wire import UnexpectedAnswerError, answer
from bench.measuring.percentiles import percentile
from infra.launch.ports import HOST

CONNECTIONS = 32
AT_MOST = 300.0
"""Seconds after which the load counts as stuck."""


@dataclass(frozen=True)
class Plan:
    """Requests to one port of this machine. Every answer must have the status and contain the text."""

    port: int
    requests: Sequence[str]
    status: int
    holding: str
    connections: int = CONNECTIONS


@dataclass(frozen=True)
class Loaded:
    """Total time, CPU of the load itself, and time of each answer (seconds)."""

    seconds: float
    cpu: float
    p50: float
    p99: float


class _Connection(asyncio.Protocol):
    """Sends one request after the other."""

    def __init__(self, plan: Plan, waiting: Iterator[bytes], took: list[float]) -> None:
        self._plan, self._waiting, self._took = plan, waiting, took
        self._holding = plan.holding.encode()
        self._received = b""
        self._began = 0.0
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's class differs, its methods do not

    def go(self) -> None:
        """Send the next request, or close the connection after the last."""
        assert self._transport is not None
        following = next(self._waiting, None)
        if following is None:
            self._transport.close()
            if not self.done.done():
                self.done.set_result(None)
            return
        self._began = time.perf_counter()
        self._transport.write(following)

    def data_received(self, data: bytes) -> None:
        self._received += data
        try:
            told = answer(self._received)
        except ValueError as problem:
            self._fail(str(problem))
            return
        if told is None:
            return
        status, body = told
        if status != self._plan.status or self._holding not in body:
            self._fail(f"{status} {body[:400].decode(errors='replace')}")
            return
        self._took.append(time.perf_counter() - self._began)
        self._received = b""
        self.go()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the connection was lost: {exc}")

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(UnexpectedAnswerError(why))


async def run(plan: Plan) -> Loaded:
    """Send all requests. Raises UnexpectedAnswerError at the first answer that differs from the plan."""
    loop = asyncio.get_running_loop()
    waiting = iter([text.encode() for text in plan.requests])
    took: list[float] = []
    lanes = [
        (await loop.create_connection(lambda: _Connection(plan, waiting, took), HOST, plan.port))[1]
        for _ in range(min(plan.connections, len(plan.requests)))
    ]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    began, cpu = time.perf_counter(), time.process_time()
    for lane in lanes:
        lane.go()
    async with asyncio.timeout(AT_MOST):
        await asyncio.gather(*(lane.done for lane in lanes))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    assert len(took) == len(plan.requests)
    return Loaded(seconds, cpu, percentile(took, 0.5), percentile(took, 0.99))


class Started:
    """A load with open connections. `go` sends the requests."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def go(self) -> Loaded:
        """Send the requests. Raises RuntimeError with the load's last output if an answer differs from the plan."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._process.stdin.write(b"go\n")
        told = await self._process.stdout.readline()
        if not told:
            said = (await self._process.stderr.read()).decode(errors="replace").strip()
            raise RuntimeError("the load failed: " + (said.splitlines() or ["it said nothing"])[-1])
        return Loaded(**json.loads(told))


@asynccontextmanager
async def started(folder: Path, plan: Plan) -> AsyncIterator[Started]:
    """Start the process and wait for its connections."""
    file = folder / "load.json"
    file.write_text(json.dumps(asdict(plan)))
    process = await asyncio.create_subprocess_exec(
        *(PYTHON, "-m", "bench.installation.http_load", str(file)), cwd=PROJECT, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    try:
        assert process.stdout is not None
        if not await process.stdout.readline():
            assert process.stderr is not None
            raise RuntimeError("the load did not start: " + (await process.stderr.read()).decode(errors="replace"))
        yield Started(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


if __name__ == "__main__":
    given = Plan(**json.loads(Path(sys.argv[1]).read_text()))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(asdict(runner.run(run(given)))), flush=True)
