"""The ledger's messages listed, newest first, by whom, what and how they fared.

A list is read from the index of what it asks for. Where it names no track, or only the track, the index is looked up
once for each step, channel and status that there is, and the newest of those are taken: some hundred lookups.
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
from store.sending.message_content import MessageContent
from store.sending.messages import COLUMNS, Message, MessageStatus, Progress

_BAD = frozenset(("bounced", "complained", "failed"))
"""What the index of messages that fared badly holds."""
_FEW: frozenset[MessageStatus] = frozenset(("sending", "unknown", "failed", "deferred"))
"""Statuses of few messages: these are looked through for a template, and not the template's messages for them."""
UNLISTED = frozenset(get_args(Progress)) - _BAD
"""What no index knows, because it changes with each report: these are met one after the other."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which messages; all that is given has to be true. Times are those at which a message was first to be sent."""

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
    """A message, and what was sent in it, where that is known; renderings are left out."""

    message: Message
    content: MessageContent | None


async def page(tx: AsyncConnection, wanted: Wanted, *, before: str | None = None, limit: int = 50) -> list[Listed]:
    """Those older than the message `before`, newest first (keyset pagination)."""
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
    """The newest of the messages of which all of `equal` is true, by the index that fits, with their content."""
    where = equal.values()
    of_template = [_OF_TEMPLATE] if wanted.template is not None else []
    if wanted.contact_id is not None:
        found = f"SELECT m.* FROM message m WHERE {' AND '.join([*where, *of_template, _SPAN])} {_ORDER}"
    elif wanted.delivery in _BAD:
        found = f"SELECT m.* FROM message m WHERE {' AND '.join(['m.bad', *where, *of_template, _SPAN])} {_ORDER}"
    elif wanted.template is not None and wanted.status not in _FEW:
        span = _within("c", {"template": "v.template", "template_version": "v.version"}, "message_id")
        of_version = f"""
            SELECT m.* FROM message_content c JOIN message m ON m.id = c.message_id
            WHERE {" AND ".join([span.where, *where])} {span.order}
        """
        found = f"SELECT m.* FROM {_VERSIONS} CROSS JOIN LATERAL ({of_version}) m {_ORDER}"
    elif wanted.delivery in UNLISTED:
        # Put in order last: PostgreSQL would read them in the order of ids until it has enough, and there may be few.
        few = "" if wanted.delivery == "delivered" else "OFFSET 0"
        found = f"SELECT m.* FROM (SELECT m.* FROM message m WHERE {' AND '.join([*where, _SPAN])} {few}) m {_ORDER}"
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
    """What is equal in some columns, and of the span in the last one of their index, in the index's order.

    Written so that no other index gives that order: by plain equality PostgreSQL takes what it believes to be common,
    though it may be rare, from the index of ids, all of which it then reads.
    """
    columns_of = [f"{table}.{name}" for name in (*equal, number)]
    row, values = ", ".join(columns_of), ", ".join(equal.values())
    where = f"({row}) >= ({values}, CAST(:first AS uuid)) AND ({row}) < ({values}, CAST(:end AS uuid))"
    return _Span(where, f"ORDER BY {', '.join(f'{name} DESC' for name in columns_of)} LIMIT :limit")


def _places(wanted: Wanted) -> str:
    """Each track, step and channel that messages have, by one lookup of the index for each; of a track, its own."""
    first = "WHERE track = :track" if wanted.track is not None else ""
    further = "AND m.track = :track" if wanted.track is not None else ""
    return f"""
        WITH RECURSIVE place AS (
            (SELECT track, step, channel FROM message {first} ORDER BY track, step, channel LIMIT 1)
            UNION ALL
            SELECT f.track, f.step, f.channel FROM place p CROSS JOIN LATERAL (
                SELECT m.track, m.step, m.channel FROM message m
                WHERE (m.track, m.step, m.channel) > (p.track, p.step, p.channel) {further}
                ORDER BY m.track, m.step, m.channel LIMIT 1
            ) f
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
_VERSIONS = """(
    SELECT template, version FROM template_version
    WHERE template = :template AND (CAST(:version AS int) IS NULL OR version = :version)
) v"""
_OF_TEMPLATE = """(
    SELECT c.template = :template AND (CAST(:version AS int) IS NULL OR c.template_version = :version)
    FROM message_content c WHERE c.message_id = m.id
)"""
"""Not EXISTS: PostgreSQL would make a join of it, and read all messages of the template for a few others."""
