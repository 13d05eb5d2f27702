"""Whether segments are kept: what is due is looked at in time, and members are who the facts say."""

from __future__ import annotations

from datetime import UTC, datetime

from api.doctor.findings import KEPT, Finding, Report
from api.doctor.time_limits import TimeLimits
from store.audience.memberships import due_memberships
from store.audience.segments import date_check, segment_check
from store.audience.webhooks import destinations
from store.audience.webhooks.destinations import BY_HAND, Destination
from store.engine.database import Database
from store.published import segments

SEGMENTS = 200
"""How many segments are examined at most."""
SAMPLE = 200
"""Contacts of each segment that are evaluated from the facts."""


async def look(database: Database, limits: TimeLimits, report: Report) -> None:
    """Add what is late and what is wrong to the report."""
    now = datetime.now(UTC)
    async with database.transaction() as tx:
        late = await due_memberships.overdue(tx, now - limits.segment, KEPT)
        known = await segments.list_all(tx, limit=SEGMENTS)
        sent_on = await destinations.list_all(tx)
    for name, count, oldest in late:
        detail = f"{count:,} memberships, the first was due {oldest:%Y-%m-%d %H:%M:%S}"
        report.add(Finding("segment-late", name, detail), count)
    for one in sent_on:
        _judge_webhook(one, now, limits, report)
    for segment in known:
        if segment.live is None:
            continue
        async with database.transaction() as tx:
            checked = await segment_check.check_sample(tx, segment, datetime.now(UTC), size=SAMPLE)
        for wrong in checked.differences:
            stored, right = ("a member" if it else "no member" for it in (wrong.stored, wrong.evaluated))
            report.add(
                Finding("segment-wrong", f"{segment.name}/{wrong.contact_id}", f"stored as {stored}, is {right}")
            )
    await _dates(database, report)


async def _dates(database: Database, report: Report) -> None:
    """Add contacts who would not enter a track when their date comes."""
    async with database.transaction() as tx:
        dates = await date_check.registered_dates(tx, SEGMENTS)
    for name in dates:
        async with database.transaction() as tx:
            missed = await date_check.missed(tx, name, datetime.now(UTC), size=SAMPLE)
        for contact_id in missed:
            report.add(Finding("segment-wrong", f"{name}/{contact_id}", "the date would not be noticed when it comes"))


def _judge_webhook(one: Destination, now: datetime, limits: TimeLimits, report: Report) -> None:
    name = f"{one.segment}/{one.name}"
    waiting = f"{one.waiting:,}{' or more' if one.waiting == destinations.COUNTED else ''} contacts wait"
    if one.paused and one.paused != BY_HAND:
        report.add(
            Finding("segment-webhook-paused", name, f"{one.paused} since {one.paused_at:%Y-%m-%d %H:%M:%S}, {waiting}")
        )
    elif not one.paused and one.failing_since is not None and now - one.failing_since > limits.webhook:
        detail = f"{one.last_error} since {one.failing_since:%Y-%m-%d %H:%M:%S}, {waiting}"
        report.add(Finding("segment-webhook-failing", name, detail))
