"""Lists of the ledger's messages, newest first, filtered by contact, track, status and so on.

A list is read from the index that fits its filter. Without a track, or with only a track, the index is searched once
for each existing step, channel and status, and the newest results are taken: some hundred searches.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, get_args
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.ids import first_id_of, is_id
from store.schema.rows import Channel, columns, read_row
from store.schema.tables.sending_tables import SKIPPED_LATE
from store.sending.messages.message_content import MessageContent
from store.sending.messages.messages import COLUMNS, Message, MessageStatus, Progress

_BAD = frozenset(("bounced", "complained", "failed"))
"""The reports in the index of messages with a bad result."""
_FEW: frozenset[MessageStatus] = frozenset(("sending", "unknown", "failed", "deferred"))
"""Statuses of few messages. A list of them by template reads these messages, not those of the template."""
UNLISTED = frozenset(get_args(Progress)) - _BAD
"""The reports that are in no index, because they change with each callback: a list of them reads message by message."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filter; a message must meet all that is given. Times are those of a message's first claim."""

    contact_id: str | None = None
    track: str | None = None
    step: str | None = None
    channel: Channel | None = None
    status: MessageStatus | None = None
    delivery: Progress | None = None
    template: str | None = None
    template_version: int | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A message, and its content if that is known, without the rendering."""

    message: Message
    content: MessageContent | None


async def page(tx: AsyncConnection, wanted: Wanted, *, before: str | None = None, limit: int = 50) -> list[Listed]:
    """Messages older than the message `before`, newest first (keyset pagination)."""
    if before is not None and not is_id(before):
        return []
    asked: dict[str, Any] = {
        "limit": limit,
        "statuses": [wanted.status] if wanted.status else list(get_args(MessageStatus)),
        "first": first_id_of(wanted.since) if wanted.since else _FIRST,
        "end": min([first_id_of(wanted.until) if wanted.until else _END, *([before] if before else [])]),
        "template": wanted.template,
        "version": wanted.template_version,
    }
    given = {name: value for name in _EQUAL if (value := getattr(wanted, name)) is not None}
    where = {name: f"m.{name} = :{name}" for name in given}
    return [_listed(row) for row in (await tx.execute(text(_statement(wanted, where)), asked | given)).mappings()]


async def of_enrollment(tx: AsyncConnection, enrollment_id: str, *, limit: int = 1000) -> list[Listed]:
    """An enrollment's messages, oldest first."""
    if not is_id(enrollment_id):
        return []
    rows = await tx.execute(_OF_ENROLLMENT, {"id": enrollment_id, "limit": limit})
    return [_listed(row) for row in rows.mappings()]


def _statement(wanted: Wanted, equal: dict[str, str]) -> str:
    """SQL for the newest messages that meet all of `equal`, by the index that fits, with their content."""
    where = equal.values()
    of_template = [_OF_TEMPLATE] if wanted.template is not None else []
    if wanted.contact_id is not None:
        found = f"SELECT m.* FROM message m WHERE {' AND '.join([*where, *of_template, _SPAN])} {_ORDER}"
    elif wanted.delivery in _BAD:
        found = f"SELECT m.* FROM message m WHERE {' AND '.join(['m.bad', *where, *of_template, _SPAN])} {_ORDER}"
    elif wanted.template is not None and wanted.status == "skipped":
        conditions = " AND ".join([_SKIPPED_LATE, *where, *of_template, _SPAN])
        found = f"SELECT m.* FROM message m WHERE {conditions} {_ORDER}"
    elif wanted.template is not None and wanted.status not in _FEW:
        used = "SELECT * FROM used WHERE track = :track" if wanted.track is not None else "SELECT * FROM used"
        others = [part for name, part in equal.items() if name != "track"]
        newest = f"SELECT f.id FROM ({used}) u CROSS JOIN LATERAL ({_of_use(others)}) f ORDER BY f.id DESC LIMIT :limit"
        found = f"{_USED} SELECT m.* FROM ({newest}) n JOIN message m ON m.id = n.id"
    elif wanted.delivery in UNLISTED:
        # Sorted last: otherwise PostgreSQL reads in the order of ids until it has enough, and there may be few matches.
        few = "" if wanted.delivery == "delivered" else "OFFSET 0"
        conditions = " AND ".join([*where, *of_template, _SPAN])
        found = f"SELECT m.* FROM (SELECT m.* FROM message m WHERE {conditions} {few}) m {_ORDER}"
    else:
        span = _within("m", {**{name: f"p.{name}" for name in _PLACE}, "status": "s.status"}, "id")
        others = [part for name, part in equal.items() if name not in (*_PLACE, "status")]
        of_place = f"SELECT m.* FROM message m WHERE {' AND '.join([span.where, *others])} {span.order}"
        if of_template:
            of_place = _each_of_few([*others, *of_template])
        given = " AND ".join(f"{name} = :{name}" for name in _PLACE if name in equal)
        found = f"""
            {_places(wanted)}
            SELECT m.* FROM (SELECT * FROM place WHERE {given or "true"}) p
            CROSS JOIN (SELECT unnest(CAST(:statuses AS text[])) AS status) s
            CROSS JOIN LATERAL ({of_place}) m {_ORDER}
        """
    return f"""
        SELECT {COLUMNS}, {_CONTENT} FROM ({found}) m LEFT JOIN message_content c ON c.message_id = m.id {_ORDER}
    """


def _of_use(conditions: list[str]) -> str:
    """SQL for the ids of the newest messages that one track made of one version `u` and for which the conditions hold.

    Without a condition, the messages themselves are not read.
    """
    span = _within("c", {name: f"u.{name}" for name in _USE}, "message_id")
    join = "CROSS JOIN LATERAL (SELECT m.* FROM message m WHERE m.id = c.message_id OFFSET 0) m" if conditions else ""
    where = " AND ".join([span.where, *conditions])
    return f"SELECT c.message_id AS id FROM message_content c {join} WHERE {where} {span.order}"


def _each_of_few(conditions: list[str]) -> str:
    """Those of the place's messages in a rare status for which the conditions hold, each looked up by its id.

    OFFSET 0 keeps PostgreSQL from planning the parts as one: it would expect these messages to be many.
    """
    place = " AND ".join(f"m.{name} = p.{name}" for name in _PLACE)
    return f"""
        SELECT m.* FROM (SELECT m.id FROM message m WHERE {place} AND m.status = s.status AND {_SPAN} OFFSET 0) few
        CROSS JOIN LATERAL (SELECT m.* FROM message m WHERE m.id = few.id OFFSET 0) m
        WHERE {" AND ".join(conditions)} {_ORDER}
    """


class _Span(NamedTuple):
    where: str
    order: str


def _within(table: str, equal: dict[str, str], number: str) -> _Span:
    """The condition and order for rows that are equal in some columns and within the span in their index's last column.

    With plain equality, PostgreSQL may assume that the values are common and read the whole index of ids instead, even
    if they are rare. Written in this way, only the wanted index gives the order.
    """
    columns_of = [f"{table}.{name}" for name in (*equal, number)]
    row, values = ", ".join(columns_of), ", ".join(equal.values())
    where = f"({row}) >= ({values}, CAST(:first AS uuid)) AND ({row}) < ({values}, CAST(:end AS uuid))"
    return _Span(where, f"ORDER BY {', '.join(f'{name} DESC' for name in columns_of)} LIMIT :limit")


def _places(wanted: Wanted) -> str:
    """SQL for each track, step and channel that has messages, by one index search for each; of one track, its own.

    A track is compared after each search: with it, PostgreSQL would read the index from the track's beginning.
    """
    first = "WHERE track = :track" if wanted.track is not None else ""
    further = "WHERE f.track = :track" if wanted.track is not None else ""
    return f"""
        WITH RECURSIVE place AS (
            (SELECT track, step, channel FROM message {first} ORDER BY track, step, channel LIMIT 1)
            UNION ALL
            SELECT f.track, f.step, f.channel FROM place p CROSS JOIN LATERAL (
                SELECT m.track, m.step, m.channel FROM message m
                WHERE (m.track, m.step, m.channel) > (p.track, p.step, p.channel)
                ORDER BY m.track, m.step, m.channel LIMIT 1
            ) f
            {further}
        )
    """


def _listed(row: Any) -> Listed:
    known = row["c_template"] is not None
    return Listed(read_row(Message, row), read_row(MessageContent, row, "c_") if known else None)


_ORDER = "ORDER BY m.id DESC LIMIT :limit"
_SPAN = "m.id >= CAST(:first AS uuid) AND m.id < CAST(:end AS uuid)"
_FIRST, _END = str(UUID(int=0)), str(UUID(int=(1 << 128) - 1))
_PLACE = ("track", "step", "channel")
_EQUAL = ("contact_id", *_PLACE, "status", "delivery")
_CONTENT = columns(MessageContent, "c", "c_").replace("c.rendering AS", "CAST(NULL AS jsonb) AS")
_OF_ENROLLMENT = text(f"""
    SELECT {COLUMNS}, {_CONTENT} FROM message m LEFT JOIN message_content c ON c.message_id = m.id
    WHERE m.enrollment_id = :id ORDER BY m.id LIMIT :limit
""")
_USE = ("template", "template_version", "track")
_OF_VERSION = "f.template = :template AND (CAST(:version AS int) IS NULL OR f.template_version = :version)"
_USED = f"""
    WITH RECURSIVE used AS (
        (SELECT template, template_version, track FROM message_content f WHERE {_OF_VERSION}
        ORDER BY template, template_version, track LIMIT 1)
        UNION ALL
        SELECT f.template, f.template_version, f.track FROM used u CROSS JOIN LATERAL (
            SELECT template, template_version, track FROM message_content
            WHERE (template, template_version, track) > (u.template, u.template_version, u.track)
            ORDER BY template, template_version, track LIMIT 1
        ) f
        WHERE {_OF_VERSION}
    )
"""
"""Each version of the template with each track that used it, by one index search for each.


The template is compared after each search, as the track in `_places`."""
_SKIPPED_LATE = f"m.status = 'skipped' AND {SKIPPED_LATE}"
_OF_TEMPLATE = """(
    SELECT c.template = :template AND (CAST(:version AS int) IS NULL OR c.template_version = :version)
    FROM message_content c WHERE c.message_id = m.id
)"""
"""Not EXISTS: PostgreSQL would make a join of it, and read all messages of the template for a few others."""
