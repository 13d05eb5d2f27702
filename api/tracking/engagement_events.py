"""Make events from fetches. A machine's fetch becomes an event at once; one that looks like a person's is held first.

The first fetch of a burst looks like a person's click, so each such fetch is held for as long as a burst may last. It
is stored in the database, and the relay's leader makes the event when it is due, whichever process stored it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from api.feedback.provider_feedback import about
from api.tracking.bot_bursts import BURST, REPEAT, judge
from api.tracking.bot_requests import Verdict
from store.engine.database import Database
from store.runs.events import events
from store.runs.events.events import Accepted
from store.sending import send_outcomes
from store.sending.feedback import engagement
from store.sending.feedback.engagement import Kind, Touch, Touched
from tracks.shared.link_tokens import DECOY, without_query

LOOK = 1.0
"""Seconds between two searches for due touches."""
SHORTEST_HOLD = timedelta(seconds=0.2)
"""If a fast run's clock makes the hold shorter than this, there is none: the search would take longer."""
AGAIN = timedelta(minutes=1)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HoldTimes:
    """Durations on the run's clock: `hold` delays a person's touch; a click within `soon` is a machine's."""

    hold: timedelta
    soon: timedelta
    entry_pace: float = 1.0
    """Pace of the runs that an event starts by an entry rule."""


async def note(
    tx: AsyncConnection, found: Touched, kind: Kind, link: int | None, verdict: Verdict, hold_times: HoldTimes
) -> Accepted | None:
    """Store a fetch. Returns the result of its event, or None if the fetch is held."""
    now = datetime.now(UTC)
    message = found.message
    if link == DECOY:
        verdict = Verdict("scanner", "hidden link")
    hold = hold_times.hold / found.pace
    held = verdict.by == "human" and hold >= SHORTEST_HOLD and not _too_soon(found, kind, now, hold_times)
    touch = await engagement.add(
        tx, message.id, kind, link, verdict.by, verdict.why, now, due_at=now + hold if held else None
    )
    accepted = None if held else await _tell(tx, touch, found, hold_times)
    if message.status in ("sending", "unknown"):  # a fetch proves that it was sent
        await send_outcomes.record_callbacks(tx, [send_outcomes.Callback(message.id, "delivered")])
    return accepted


def _too_soon(found: Touched, kind: Kind, now: datetime, hold_times: HoldTimes) -> bool:
    return kind == "click" and now - found.reached_at < hold_times.soon / found.pace


async def _tell(tx: AsyncConnection, touch: Touch, found: Touched, hold_times: HoldTimes) -> Accepted:
    """Decide who made the touch, and accept the event."""
    burst = BURST / found.pace
    verdict = judge(
        touch,
        await engagement.around(tx, touch, burst) if touch.by == "human" else (),
        links=found.links,
        reached_at=found.reached_at,
        soon=hold_times.soon / found.pace,
        burst=burst,
    )
    event_id = await engagement.decide(tx, touch, verdict.by, verdict.why, REPEAT / found.pace)
    message = found.message
    properties = about(message) | {"by": verdict.by}
    if touch.link is not None:
        properties["link_number"] = touch.link
        if 0 < touch.link <= found.links:
            properties["link"] = without_query(found.urls[touch.link - 1])
    return await events.accept(
        tx,
        events.Event(
            event_id=event_id,
            contact_id=message.contact_id,
            name=f"{message.channel}.{'clicked' if touch.kind == 'click' else 'opened'}",
            properties=properties,
            occurred_at=touch.at,
        ),
        pace=hold_times.entry_pace,
    )


class HeldTouches:
    """Makes events from held touches when they are due. The relay's leader runs it."""

    def __init__(self, db: Database, hold_times: HoldTimes) -> None:
        self._db, self._hold_times = db, hold_times

    async def run(self) -> None:
        """Search repeatedly. While the database is down, it waits and tries again."""
        while True:
            try:
                while await self.tell_due():
                    pass
            except Exception as error:
                log.warning("held touches wait for the database", error=type(error).__name__)
            await asyncio.sleep(LOOK)

    async def tell_due(self, now: datetime | None = None) -> int:
        """Make the events of due touches, each in a transaction of its own. Returns how many there were."""
        async with self._db.transaction() as tx:
            ids = await engagement.due(tx, now or datetime.now(UTC))
        for touch_id in ids:
            try:
                async with self._db.transaction() as tx:
                    await self._tell_one(tx, touch_id)
            except Exception as error:  # a touch that fails must not stop the others (law 12)
                if _away(error):
                    raise
                log.exception("a touch cannot be told", touch_id=touch_id)
                async with self._db.transaction() as tx:
                    await engagement.postpone(tx, touch_id, datetime.now(UTC) + AGAIN)
        return len(ids)

    async def _tell_one(self, tx: AsyncConnection, touch_id: int) -> None:
        touch = await engagement.take(tx, touch_id)
        if touch is None:
            return
        found = await engagement.find(tx, touch.message_id, touch.at)
        assert found is not None  # a touch always has its message
        await _tell(tx, touch, found, self._hold_times)


def _away(error: Exception) -> bool:
    """Whether the database does not answer. Other errors mean that the statement is wrong."""
    return isinstance(error, OSError) or (
        isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) is None
    )
