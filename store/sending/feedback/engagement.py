"""The touches of a message: its links, their targets, and who opened or followed them, people or machines.

A touch that looks like a person's is held (`due_at`) until it cannot be the beginning of a machine's burst. Then it
becomes an event (`event_id`), or not. The rows do not tell who or where the reader is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.driver_sql import later
from store.engine.ids import is_id
from store.schema.rows import columns, read_row
from store.sending.messages.messages import COLUMNS, Message
from tracks.runs.bot_engagement import By

Kind = Literal["open", "click"]
_CLOCKS_APART = timedelta(minutes=1)
"""How far a touch may lie in the future because clocks of processes differ, before it counts as wrong."""
MOST_AROUND = 1000
"""The most touches that are read to judge one; more than that in so short a time do not come from a person."""


@dataclass(frozen=True, slots=True)
class Touch:
    """One request for a link or for the picture. `link` counts from 1; 0 is the hidden link."""

    id: int
    message_id: str
    kind: Kind
    link: int | None
    by: By
    why: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Touched:
    """A message, with the data for judging its touches.

    `links` is the number of its links; `pace` is that of its run; `reached_at` is the earliest time at which the
    recipient can have received it, as far as is known.
    """

    message: Message
    urls: tuple[str, ...]
    pace: float
    reached_at: datetime

    @property
    def links(self) -> int:
        return len(self.urls)


async def keep_links(
    tx: AsyncConnection, message_id: str, urls: Sequence[str], *, first: bool = False
) -> dict[str, int]:
    """Store the targets of a message's links; returns each target's number.

    A target that the message had before keeps its number, so that links in a message that was sent already still work.
    `first` tells that the message had no links before; this saves a round trip.
    """
    values = {"id": message_id, "urls": list(urls)}
    if first:
        later(tx, _KEEP, values)
        return {url: number for number, url in enumerate(urls, 1)}
    row = (await tx.execute(_KEEP, values)).one()
    return {url: number for number, url in enumerate(row.urls, 1)}


async def find(tx: AsyncConnection, message_id: str, now: datetime) -> Touched | None:
    """A message and its links (none, if it has none or its contact was erased); None if there is no message."""
    if not is_id(message_id):
        return None
    row = (await tx.execute(_FIND, {"id": message_id, "lately": now - timedelta(hours=1)})).mappings().first()
    if row is None:
        return None
    return Touched(read_row(Message, row), tuple(row["urls"] or ()), row["pace"], row["reached_at"])


async def add(
    tx: AsyncConnection,
    message_id: str,
    kind: Kind,
    link: int | None,
    by: By,
    why: str,
    at: datetime,
    due_at: datetime | None = None,
) -> Touch:
    """Store a touch; with `due_at` it is held until then."""
    values = {"message": message_id, "kind": kind, "link": link, "by": by, "why": why, "at": at, "due_at": due_at}
    number = (await tx.execute(_ADD, values)).scalar_one()
    return Touch(number, message_id, kind, link, by, why, at)


async def around(tx: AsyncConnection, touch: Touch, within: timedelta) -> list[Touch]:
    """The touches of the same message at most `within` before or after this one, itself included."""
    values = {"id": touch.message_id, "since": touch.at - within, "until": touch.at + within, "most": MOST_AROUND}
    return [read_row(Touch, row) for row in (await tx.execute(_AROUND, values)).mappings()]


async def due(tx: AsyncConnection, now: datetime, limit: int = 100) -> list[int]:
    """The ids of held touches that are due, oldest first, and of those that a clock recorded which has been set back
    since.
    """
    asked = {"now": now, "ahead": now + _CLOCKS_APART, "limit": limit}
    return [row.id for row in await tx.execute(_DUE, asked)]


async def take(tx: AsyncConnection, touch_id: int) -> Touch | None:
    """Lock a touch for this transaction's decision; None if another transaction has it, or it is decided already."""
    row = (await tx.execute(_TAKE, {"id": touch_id})).mappings().first()
    return read_row(Touch, row) if row else None


async def postpone(tx: AsyncConnection, touch_id: int, until: datetime) -> None:
    """Put off the decision about a held touch."""
    await tx.execute(_POSTPONE, {"id": touch_id, "until": until})


async def decide(tx: AsyncConnection, touch: Touch, by: By, why: str, within: timedelta) -> str:
    """Decide finally whose touch it was; returns the id of its event.

    A touch of the same class on the same link less than `within` after another belongs to the same event.
    """
    values = {
        "id": touch.id,
        "message": touch.message_id,
        "kind": touch.kind,
        "link": touch.link,
        "by": by,
        "why": why,
        "at": touch.at,
        "since": touch.at - within,
        "event": f"touch:{touch.message_id}:{touch.id}",
    }
    return str((await tx.execute(_DECIDE, values)).scalar_one())


_COLUMNS = columns(Touch, "t")
_KEEP = text("""
    INSERT INTO message_links AS l (message_id, urls) VALUES (:id, CAST(:urls AS text[]))
    ON CONFLICT (message_id) DO UPDATE SET urls = l.urls || ARRAY(
        SELECT u.url FROM unnest(excluded.urls) WITH ORDINALITY AS u (url, ord)
        WHERE NOT u.url = ANY(l.urls) ORDER BY u.ord
    )
    RETURNING urls
""")
# SES reports the time of the delivery; a message's `settled_at` is when its report arrived.
_FIND = text(f"""
    SELECT {COLUMNS}, l.urls, e.pace, coalesce((
            SELECT min(d.occurred_at) FROM event d
            WHERE d.contact_id = m.contact_id AND d.received_at > :lately AND d.name = 'email.delivered'
                AND d.properties ->> 'message_id' = m.id::text
        ), m.claimed_at) AS reached_at
    FROM message m JOIN enrollment e ON e.id = m.enrollment_id LEFT JOIN message_links l ON l.message_id = m.id
    WHERE m.id = :id
""")
_ADD = text("""
    INSERT INTO touch (message_id, kind, link, by, why, at, due_at)
    VALUES (:message, :kind, :link, :by, :why, :at, :due_at) RETURNING id
""")
_AROUND = text(f"""
    SELECT {_COLUMNS} FROM touch t WHERE message_id = :id AND at BETWEEN :since AND :until ORDER BY at, t.id LIMIT :most
""")
_DUE = text("""
    SELECT id FROM touch WHERE due_at <= :now OR (due_at IS NOT NULL AND at > :ahead) ORDER BY due_at, id LIMIT :limit
""")
_TAKE = text(f"SELECT {_COLUMNS} FROM touch t WHERE id = :id AND due_at IS NOT NULL FOR UPDATE SKIP LOCKED")
_POSTPONE = text("UPDATE touch SET due_at = :until WHERE id = :id AND due_at IS NOT NULL")
_DECIDE = text("""
    UPDATE touch SET by = :by, why = :why, due_at = NULL, event_id = coalesce((
        SELECT o.event_id FROM touch o
        WHERE o.message_id = :message AND o.kind = :kind AND o.link IS NOT DISTINCT FROM CAST(:link AS integer)
            AND o.by = :by AND o.event_id IS NOT NULL AND o.at BETWEEN :since AND :at
            AND o.event_id = 'touch:' || o.message_id || ':' || o.id
        ORDER BY o.at, o.id LIMIT 1
    ), :event)
    WHERE id = :id RETURNING event_id
""")
