"""The webhooks of segments: which changes are sent where, and how each is doing."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import utc_now
from store.schema.rows import columns, read_row

COUNTED = 100_000
"""How many waiting contacts of a webhook are counted at most."""
BY_HAND = "by hand"
_WAITING = f"""(
    SELECT count(*) FROM (
        SELECT FROM segment_webhook_contact k WHERE k.webhook = {{table}}.id AND k.waiting LIMIT {COUNTED}
    ) counted
)"""
_OLDEST = """(
    SELECT k.queued_at FROM segment_webhook_contact k WHERE k.webhook = {table}.id AND k.waiting ORDER BY seq LIMIT 1
)"""


@dataclass(frozen=True, slots=True)
class Destination:
    """A webhook of a segment; see the table `segment_webhook`."""

    id: int
    segment: str
    name: str
    url: str
    fields: Sequence[str]
    changes: Sequence[str]
    batch: int
    wait: float
    created_at: datetime
    paused: str
    paused_at: datetime | None
    failing_since: datetime | None
    failures: int
    last_error: str
    next_attempt_at: datetime
    delivered_at: datetime | None
    delivered: int
    comparing: str
    until_seq: int
    waiting: int = field(default=0, metadata={"sql": _WAITING})
    """How many contacts wait to be sent, counted up to `COUNTED`."""
    oldest: datetime | None = field(default=None, metadata={"sql": _OLDEST})
    """Since when the first of them waits."""

    @property
    def sends_all(self) -> bool:
        """Whether a full send is under way."""
        return self.comparing == "all" or self.until_seq > 0


async def put(
    tx: AsyncConnection,
    segment: str,
    name: str,
    *,
    url: str,
    fields: Sequence[str],
    batch: int,
    wait: float,
    paused: bool,
    changes: Sequence[str] = (),
    now: datetime | None = None,
) -> str | None:
    """Create or change a webhook of a segment that exists. A new one gets a secret, which is returned this once.

    A new one is sent all members. One that is no longer paused is tried at once; one that was paused already keeps the
    reason.
    """
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    values = {
        "segment": segment,
        "name": name,
        "url": url,
        "fields": list(fields),
        "changes": list(changes),
        "batch": batch,
        "wait": wait,
        "paused": BY_HAND if paused else "",
        "secret": secret,
        "now": now or utc_now(),
    }
    made = bool((await tx.execute(_PUT, values)).scalar_one())
    return secret if made else None


async def get(tx: AsyncConnection, segment: str, name: str) -> Destination | None:
    """A webhook of a segment."""
    row = (await tx.execute(_GET, {"segment": segment, "name": name})).mappings().first()
    return read_row(Destination, row) if row else None


async def list_of(tx: AsyncConnection, segment: str) -> list[Destination]:
    """All webhooks of a segment, by name."""
    return [read_row(Destination, row) for row in (await tx.execute(_LIST, {"segment": segment})).mappings()]


async def count(tx: AsyncConnection, segment: str) -> int:
    """How many webhooks a segment has."""
    return int((await tx.execute(_COUNT, {"segment": segment})).scalar_one())


async def list_all(tx: AsyncConnection) -> list[Destination]:
    """The webhooks of all segments."""
    return [read_row(Destination, row) for row in (await tx.execute(_ALL)).mappings()]


async def remove(tx: AsyncConnection, segment: str, name: str) -> bool:
    """Send nothing to this webhook any more; what waits for it is deleted. False if there is none."""
    return (await tx.execute(_REMOVE, {"segment": segment, "name": name})).rowcount > 0


async def send_all(tx: AsyncConnection, segment: str, name: str) -> bool:
    """Send all members once more. False if there is no such webhook."""
    return (await tx.execute(_SEND_ALL, {"segment": segment, "name": name})).rowcount > 0


_COLUMNS = columns(Destination, "w")
_PUT = text("""
    INSERT INTO segment_webhook AS w (segment, name, url, fields, changes, batch, wait, secret, paused, paused_at,
        comparing, created_at, next_attempt_at)
    VALUES (:segment, :name, :url, CAST(:fields AS text[]), CAST(:changes AS text[]), :batch, :wait, :secret, :paused,
        CASE WHEN :paused <> '' THEN CAST(:now AS timestamptz) END, 'all', :now, :now)
    ON CONFLICT (segment, name) WHERE comparing <> 'removal' DO UPDATE SET
        url = excluded.url, fields = excluded.fields, changes = excluded.changes,
        batch = excluded.batch, wait = excluded.wait,
        paused = CASE WHEN excluded.paused <> '' AND w.paused <> '' THEN w.paused ELSE excluded.paused END,
        paused_at = CASE WHEN excluded.paused = '' THEN NULL
            ELSE coalesce(w.paused_at, excluded.paused_at) END,
        failing_since = CASE WHEN excluded.paused = '' AND w.paused <> '' THEN NULL ELSE w.failing_since END,
        failures = CASE WHEN excluded.paused = '' AND w.paused <> '' THEN 0 ELSE w.failures END,
        next_attempt_at = excluded.next_attempt_at
    RETURNING secret = :secret
""")
_GET = text(f"""
    SELECT {_COLUMNS} FROM segment_webhook w WHERE segment = :segment AND name = :name AND comparing <> 'removal'
""")
_LIST = text(f"""
    SELECT {_COLUMNS} FROM segment_webhook w WHERE segment = :segment AND comparing <> 'removal' ORDER BY name
""")
_COUNT = text("SELECT count(*) FROM segment_webhook WHERE segment = :segment AND comparing <> 'removal'")
_ALL = text(f"SELECT {_COLUMNS} FROM segment_webhook w WHERE comparing <> 'removal' ORDER BY segment, name")
_REMOVE = text("""
    UPDATE segment_webhook SET comparing = 'removal', fence = 0, position = '', until_seq = 0
    WHERE segment = :segment AND name = :name AND comparing <> 'removal'
""")
_SEND_ALL = text("""
    UPDATE segment_webhook SET comparing = 'all', fence = 0, position = '', from_seq = 0, until_seq = 0
    WHERE segment = :segment AND name = :name AND comparing <> 'removal'
""")
