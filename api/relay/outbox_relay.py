"""The relay: one leader delivers the rows of the outbox to Temporal, in order for each enrolment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

import structlog
from psycopg import OperationalError
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client

from api.relay.delivery import Delivered, Delivery, Dropped, Later, Refused, encoded, start, tell
from api.relay.start_limit import StartLimit
from store.engine.background.background_tasks import ended
from store.engine.database import Database
from store.engine.outbox_listener import Listener
from store.people.merging import merge_records
from store.published import tracks
from store.runs import drop_counts
from store.runs.drop_counts import LATE, NOT_ENROLLED, TOO_LARGE, Drop
from store.runs.outbox import outbox, refused_deliveries
from tracks.compiler.run_details import about
from tracks.runs.program import Program
from tracks.runs.run_interface import SIGNAL_ATTRIBUTES, SIGNAL_END, SIGNAL_EVENT, RunInput, RunState

SIGNALS = {"event": SIGNAL_EVENT, "attributes": SIGNAL_ATTRIBUTES, "end": SIGNAL_END}

SAID_FIRST = ("name", "names", "reason", "matches")
"""Fields that come first in a signal: Temporal UI shows only about the first 45 characters in the history."""
ROWS_PER_PLACE = 2
"""Rows read for each enrolment that may be signaled now. Most have one."""
FEW_ROWS = 8
"""Extra rows read besides one for each start that may be sent, until more rows than that wait for live runs. Rows
without a place are read for nothing, and in a burst this can become most of the relay's own work."""
IN_FLIGHT = 64
"""Enrolments delivered to at the same time. With more, Temporal only queues the calls."""
BREATH = 0.02
"""Seconds between two reads of the outbox while rows are being delivered. Each read costs CPU, even if it finds none.
"""
TOGETHER = 0.1
"""Seconds until the result of a single delivery is written, unless the next read of the outbox comes first. In the
first 30 ms the run reacts to its signal: work of the relay in this time would delay its message."""
PROGRAMS = 256
"""How many track versions the cache of encoded programs holds."""
BULK_IN_FLIGHT = 32
"""How many of these may come from an import or a batch. The other places are always free for live events."""
POLL = 1.0
"""Seconds between reads without a notification: a notification can be lost with its connection."""
KEPT = timedelta(days=7)
"""How long delivered rows are kept, so that people can look up what became of them."""
PRUNE_EVERY = timedelta(hours=1)
CLOSING = 5.0
"""Seconds that closing waits for a read in progress. A hanging database must not delay it longer."""

HAD = Delivered()

log = structlog.get_logger()


@dataclass(frozen=True)
class _Program:
    code: Program
    encoded: str
    about: str | None
    """The track's description in Temporal UI."""


@dataclass(frozen=True)
class _Outcome:
    row: outbox.Delivery
    answer: Delivery


def pause_before(attempts: int) -> timedelta:
    """The pause after a row's nth failed attempt: 0.1 s, doubling up to 30 s."""
    return min(timedelta(seconds=0.1 * 2 ** min(attempts, 10)), outbox.LONGEST_REST)


class Relay:
    """Delivers while it is open and is the leader. Any number may run; only the leader delivers."""

    def __init__(
        self, database: Database, client: Client, beside: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
    ) -> None:
        """`beside` are loops that only the leader runs. They handle their own errors."""
        self._database = database
        self._client = client
        self._beside = beside
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._bulk: set[str] = set()
        self._start_limit = StartLimit(IN_FLIGHT)
        self._outcomes: list[_Outcome] = []
        self._looks = 0
        self._crowded = False
        self._programs: dict[tuple[str, int], _Program] = {}
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._main: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Relay:
        self._main = asyncio.create_task(self._run(), name="relay")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop reading, and write the results of deliveries, so that no row is delivered again."""
        self._closing.set()
        self._wake.set()
        if self._main is not None:
            # A read in progress is not cancelled: if cancelled while it takes a connection, it would lose the
            # connection.
            await asyncio.wait([self._main], timeout=CLOSING)
            await ended(self._main)
        await asyncio.gather(*self._busy.values(), return_exceptions=True)
        with suppress(OperationalError, SQLAlchemyError):
            delivered = await self._undelivered_noted()
            async with self._database.statement() as connection:
                await outbox.delivered(connection, delivered)

    async def _run(self) -> None:
        """Become the leader and deliver; begin again after any error, because without a relay nothing is delivered."""
        while not self._closing.is_set():
            try:
                async with self._database.listener() as listener:
                    if await listener.lead():
                        log.info("relay leads")
                        await self._lead(listener)
            except (OperationalError, SQLAlchemyError, OSError) as error:
                log.warning("relay lost the database", error=type(error).__name__)
            except Exception:
                log.exception("relay failed and starts again")
            await _until(self._closing, POLL)

    async def _lead(self, listener: Listener) -> None:
        ears = asyncio.create_task(self._listen(listener), name="relay-ears")
        others = [asyncio.create_task(loop()) for loop in self._beside]
        prune_at = datetime.now(UTC)
        try:
            while not (ears.done() or self._closing.is_set()):
                self._wake.clear()
                if datetime.now(UTC) >= prune_at:
                    prune_at += PRUNE_EVERY
                    async with self._database.transaction() as tx:
                        await outbox.prune(tx, datetime.now(UTC) - KEPT)
                        await refused_deliveries.prune(tx)
                        await drop_counts.compact(tx)
                        await merge_records.prune(tx, datetime.now(UTC))
                if await self._deliver_pending():
                    await asyncio.sleep(BREATH)
                await _until(self._wake, POLL)
            if ears.done():
                await ears  # raises the error that ended it
        finally:
            await ended(ears, *others)

    async def _listen(self, listener: Listener) -> None:
        while True:
            if await listener.wait(60):
                self._wake.set()

    async def _deliver_pending(self) -> int:
        """Write the results of deliveries, read waiting rows, begin to deliver. Returns the number of enrolments."""
        self._looks += 1
        # A task that ends during this write keeps its place: its outcome is not in this write, and its row must not
        # be read again before the outcome is written. If the write fails, the rows are delivered again; the run
        # ignores duplicates.
        over = {run for run, task in self._busy.items() if task.done()}
        delivered = await self._undelivered_noted()
        busy, bulk = self._busy.keys() - over, self._bulk - over
        room, starts = IN_FLIGHT - len(busy), self._start_limit.free
        limit = ROWS_PER_PLACE * room
        async with self._database.statement() as connection:
            waiting = await outbox.pending(
                connection,
                limit if self._crowded else min(limit, starts + FEW_ROWS),
                room=room,
                starts=starts,
                bulk=BULK_IN_FLIGHT - len(bulk),
                busy=list(busy),
                delivered=delivered,
            )
        self._bulk, self._crowded = bulk, waiting.crowded
        for run in over:
            del self._busy[run]
        for rows in waiting.runs:
            program = await self._program(rows)
            if outbox.is_slow(rows):
                self._bulk.add(rows[0].enrollment_id)
            self._busy[rows[0].enrollment_id] = asyncio.create_task(self._deliver_run(rows, program))
        if waiting.runs and waiting.more:
            self._wake.set()  # read again after `BREATH`
        return len(waiting.runs)

    async def _undelivered_noted(self) -> list[int]:
        """Take the outcomes of deliveries and write those of undelivered rows. Returns the ids of delivered rows."""
        outcomes, self._outcomes = self._outcomes, []
        for outcome in outcomes:
            if isinstance(outcome.answer, Refused):  # one by one: it may close an enrollment
                async with self._database.transaction() as tx:
                    await refused_deliveries.set_aside(tx, outcome.row.id, outcome.answer.cause, outcome.answer.reason)
        if any(outcome.answer != HAD for outcome in outcomes):
            async with self._database.transaction() as tx:
                for outcome in outcomes:
                    if isinstance(outcome.answer, Dropped):
                        await outbox.drop(tx, [outcome.row.id], outcome.answer.reason)
                    elif isinstance(outcome.answer, Later):
                        rest = pause_before(outcome.row.attempts)
                        await outbox.failed(tx, outcome.row.id, datetime.now(UTC) + rest, outcome.answer.reason)
                    elif isinstance(outcome.answer, Delivered) and outcome.answer.left_out:
                        lost = Drop(TOO_LARGE, "property", outcome.row.track, outcome.answer.left_out)
                        await drop_counts.add(tx, [lost])
        return [outcome.row.id for outcome in outcomes if isinstance(outcome.answer, Delivered)]

    async def _program(self, group: Sequence[outbox.Delivery]) -> _Program | None:
        """The program for a start in the group; None without a start, or if the track version cannot be read."""
        if group[0].kind != "start":
            return None
        version = group[0].track, group[0].version
        if version not in self._programs:
            if len(self._programs) >= PROGRAMS:
                self._programs.clear()
            try:
                async with self._database.transaction() as tx:
                    pinned = await tracks.pinned(tx, *version)
            except (LookupError, TypeError, ValueError):  # an unreadable version must not stop the others (law 12)
                log.exception("track version not read", track=version[0], version=version[1])
                return None
            program = pinned.compiled.program
            self._programs[version] = _Program(program, encoded(program), about(pinned.track, pinned.version))
        return self._programs[version]

    async def _deliver_run(self, group: Sequence[outbox.Delivery], program: _Program | None) -> None:
        """Deliver one enrolment's rows in order, up to the first that must wait."""
        looks = self._looks
        for row in group:
            try:
                answer = await self._deliver(row, program)
            except Exception as error:  # a row that cannot be delivered must not stop the others (law 12)
                log.exception("delivery failed", outbox_id=row.id, kind=row.kind)
                answer = Later(type(error).__name__)
            self._outcomes.append(_Outcome(row, answer))
            if isinstance(answer, Later):
                log.warning("delivery waits", outbox_id=row.id, reason=answer.reason, attempts=row.attempts + 1)
                break
            if isinstance(answer, Refused):
                log.error("delivery refused for good", outbox_id=row.id, kind=row.kind, reason=answer.reason)
                if row.kind == "start":
                    break  # its enrollment is closed first, so no run needs the rest
            if isinstance(answer, Dropped):
                log.warning("delivery dropped", outbox_id=row.id, kind=row.kind, reason=answer.reason)
        # A read during the delivery may have skipped this enrolment's next row, or had no place for another's.
        alone = self._looks == looks
        asyncio.get_running_loop().call_later(TOGETHER if alone else BREATH, self._wake.set)

    async def _deliver(self, row: outbox.Delivery, program: _Program | None) -> Delivery:
        if row.kind == "start":
            if row.ended:
                return Dropped(NOT_ENROLLED)
            if program is None:
                return Later("the track version cannot be read")
            given = RunInput(
                enrollment_id=row.enrollment_id,
                contact_id=row.contact_id,
                track=row.track,
                version=row.version,
                program=program.code,
                clock=row.clock,
                state=RunState(seq=row.payload.get("seq", 0)),  # a restarted run continues its path
            )
            starting = start(
                self._client, row.workflow_id, given, program.encoded, about=program.about, tried=row.attempts
            )
            return await self._start_limit.within(starting)
        if row.ended:
            return Dropped(LATE)
        told = {name: row.payload[name] for name in SAID_FIRST if name in row.payload}
        payload = told | dict(row.payload) | {"enrollment_id": row.enrollment_id}
        return await tell(self._client, row.workflow_id, SIGNALS[row.kind], payload)


async def _until(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):  # `wait_for` may swallow a cancellation before Python 3.12
        async with asyncio.timeout(seconds):
            await event.wait()
