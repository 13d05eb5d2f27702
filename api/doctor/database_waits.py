"""What waits too long in the database: deliveries, messages, held touches, breakers. Also whether a relay leads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime

from api.doctor.findings import KEPT, Finding, Report
from api.doctor.temporal_runs import Look
from api.doctor.time_limits import TimeLimits
from store.engine.database import Database
from store.operations import doctor
from store.runs import refused_deliveries
from store.runs.outbox import RUN_FULL
from store.runs.refused_deliveries import Refused
from store.sending import breakers
from store.sending.messages import Message

LEAD_PATIENCE = 5.0
"""Seconds to wait for a leader: between two leaders there is a short time without one."""
LookAt = Callable[[str], Awaitable[Look]]


async def look(database: Database, limits: TimeLimits, report: Report, look_at: LookAt) -> None:
    """Add what waits to the report. The report must already hold the findings about lost and ended runs."""
    if not await _led(database):
        report.add(Finding("no-leader", ""))
    now = datetime.now(UTC)
    gone = {it.enrollment_id for kind in ("run-ended", "run-lost") for it in report.of(kind)}
    async with database.transaction() as tx:
        late, rows = await doctor.undelivered(tx, now - limits.outbox, KEPT)
        unsettled, messages = await doctor.unsettled(
            tx, sending=now - limits.sending, unknown=now - limits.unknown, gone=gone, limit=KEPT
        )
        overdue, deferred = await doctor.deferred(tx, now - limits.deferred, KEPT)
        flood, flooded = await doctor.flooded(tx, KEPT)
        untold, touches = await doctor.held_touches(tx, now - limits.touch, KEPT)
        standing = await breakers.all_known(tx)
        aside, deliveries = await refused_deliveries.waiting(tx, KEPT)
    report.add_all(
        "outbox-late",
        late,
        [
            Finding(
                "outbox-late",
                str(row.id),
                f"{row.kind}, since {_moment(row.created_at)}, {row.attempts} attempts{_because(row.reason)}",
                row.workflow_id,
                row.enrollment_id,
            )
            for row in rows
        ],
    )
    full = {row.enrollment_id: row for row in reversed(rows) if row.reason == RUN_FULL}
    for row in full.values():
        detail = f"{row.kind} waits since {_moment(row.created_at)}"
        report.add(Finding("run-full", row.enrollment_id, detail, row.workflow_id, row.enrollment_id))
    report.add_all("delivery-refused", aside, [_refused(one) for one in deliveries])
    for message in messages:
        report.add(await _message(database, message, gone, look_at))
    if unsettled > len(messages):
        report.counts["message-stuck"] += unsettled - len(messages)
    for kind, count, found in (
        ("message-overdue", overdue, deferred),
        ("message-flood", flood, flooded),
        ("touch-late", untold, touches),
    ):
        named = [
            Finding(kind, it.id, f"due {_moment(it.due_at)}{_because(it.reason)}", enrollment_id=it.enrollment_id)
            for it in found
        ]
        report.add_all(kind, count, named)
    for breaker in standing:
        if breaker.state == "open" and (breaker.until is None or now - breaker.until > limits.late):
            detail = f"since {_moment(breaker.changed_at)}, {breaker.held} held, {breaker.cause}: {breaker.reason}"
            report.add(Finding("breaker-open", breaker.scope, detail))


async def _led(database: Database) -> bool:
    deadline = asyncio.get_running_loop().time() + LEAD_PATIENCE
    while True:
        async with database.transaction() as tx:
            if await doctor.led(tx):
                return True
        if asyncio.get_running_loop().time() >= deadline:
            return False
        await asyncio.sleep(0.5)


async def _message(database: Database, message: Message, gone: Collection[str], look_at: LookAt) -> Finding:
    """The finding for an unsettled message: what its run does about it."""
    kind, doing = "message-stuck", "its run is over"
    async with database.transaction() as tx:
        enrollment = await doctor.find(tx, message.enrollment_id)
    if enrollment is not None and message.enrollment_id not in gone:
        run = await look_at(enrollment.workflow_id)
        doing = f"its run is {run.trouble or run.state or 'running'}{_because(run.detail)}"
        if run.state == "needs_review" and not run.trouble:
            kind, doing = "message-undecided", "its run waits for a decision"
    since = f"{message.channel} of step {message.step}, {message.status} since {_moment(message.claimed_at)}"
    return Finding(kind, message.id, f"{since}; {doing}", enrollment_id=message.enrollment_id)


def _refused(one: Refused) -> Finding:
    closed = "; its enrollment is closed" if one.kind == "start" else ""
    detail = f"{one.kind}, since {_moment(one.refused_at)}, {one.cause}{_because(one.reason)}{closed}"
    return Finding("delivery-refused", str(one.id), detail, one.workflow_id, one.enrollment_id)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""
