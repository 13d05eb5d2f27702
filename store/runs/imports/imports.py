"""Imports: their options, progress and an operator's commands. `store.runs.imports.import_rows` holds the rows.

The import's row in the database is authoritative; its workflow, the API and the command line all read and write it.
Each change increases `news`, and the relay's leader then signals the workflow (`untold`, `told`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.ids import is_id, new_id
from store.engine.sql import as_json, utc_now
from store.schema.rows import columns, read_row
from store.schema.tables.runs.import_tables import import_job
from tracks.runs.import_interface import ENDED, ImportState

BROKEN_OFF = "the upload broke off"
TOO_OLD = "not finished within 30 days"
SILENCE = timedelta(minutes=10)
"""Without news for this long, an upload counts as broken off, and a running import as one that lost its workflow."""
LONGEST = timedelta(days=30)
"""How long rows may wait to be applied, even in a paused import, because they are personal data."""
KEPT = timedelta(days=30)
"""How long an ended import and its problems are kept."""


@dataclass(frozen=True, slots=True)
class Import:
    """One import. `rows` counts all received rows, bad ones too; `outcomes` counts the finished rows by outcome.

    `speed` is the recent rate in rows per second. `held` names what the import waits for. `told` is less than `news`
    while the workflow does not know of a change.
    """

    id: str
    track: str
    options: Mapping[str, Any]
    state: ImportState
    reason: str
    idempotency_key: str | None
    per_second: float
    rows: int
    chunks: int
    next_chunk: int
    outcomes: Mapping[str, int]
    speed: float
    held: str
    news: int
    told: int
    created_at: datetime
    heard_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def done(self) -> int:
        """The number of rows that have an outcome."""
        return sum(self.outcomes.values())


async def begin(
    tx: AsyncConnection,
    track: str,
    options: Mapping[str, Any],
    *,
    per_second: float,
    idempotency_key: str | None = None,
    now: datetime | None = None,
) -> Import:
    """Create an import that can receive its rows. An unfinished import with the same key is given up."""
    now = now or utc_now()
    if idempotency_key is not None:
        await tx.execute(_SUPERSEDE, {"key": idempotency_key, "now": now})
    row = await tx.execute(
        _BEGIN,
        {
            "id": new_id(),
            "track": track,
            "options": as_json(options),
            "per_second": per_second,
            "key": idempotency_key,
            "now": now,
        },
    )
    return read_row(Import, row.mappings().one())


async def by_key(tx: AsyncConnection, idempotency_key: str) -> Import | None:
    """The import with this idempotency key, if its upload is complete."""
    row = (await tx.execute(_BY_KEY, {"key": idempotency_key})).mappings().first()
    return read_row(Import, row) if row else None


async def get(tx: AsyncConnection, import_id: str) -> Import | None:
    """An import, or None if there is none."""
    if not is_id(import_id):
        return None
    row = (await tx.execute(_GET, {"id": import_id})).mappings().first()
    return read_row(Import, row) if row else None


async def lock(tx: AsyncConnection, import_id: str) -> Import | None:
    """As `get`, locked until this transaction ends. Lock the import before any contact."""
    if not is_id(import_id):
        return None
    row = (await tx.execute(_LOCK, {"id": import_id})).mappings().first()
    return read_row(Import, row) if row else None


async def list_page(
    tx: AsyncConnection,
    *,
    track: str | None = None,
    state: ImportState | None = None,
    before: str | None = None,
    limit: int = 50,
) -> list[Import]:
    """Imports, newest first; those older than the import `before` (keyset pagination)."""
    statement = select(import_job)
    if track is not None:
        statement = statement.where(import_job.c.track == track)
    if state is not None:
        statement = statement.where(import_job.c.state == state)
    if before is not None:
        if not is_id(before):
            return []
        statement = statement.where(import_job.c.id < before)
    rows = (await tx.execute(statement.order_by(import_job.c.id.desc()).limit(limit))).mappings()
    return [read_row(Import, row) for row in rows]


async def start(tx: AsyncConnection, import_id: str, *, now: datetime | None = None) -> Import | None:
    """Start an import that has received all its rows. None if it was given up in the meantime."""
    row = (await tx.execute(_START, {"id": import_id, "now": now or utc_now()})).mappings().first()
    return read_row(Import, row) if row else None


async def fail(tx: AsyncConnection, import_id: str, reason: str, *, now: datetime | None = None) -> bool:
    """Give up an import that never ran, and delete its rows; its key is free again. Returns whether there was one."""
    found = await tx.execute(_FAIL, {"id": import_id, "reason": reason, "now": now or utc_now()})
    return found.first() is not None


async def steer(
    tx: AsyncConnection,
    import_id: str,
    word: Literal["pause", "resume", "cancel", "rate"],
    *,
    per_second: float | None = None,
    now: datetime | None = None,
) -> Import | None:
    """Carry out an operator's command. None if there is no such import; no change if it has ended.

    Cancelling deletes the waiting rows. Contacts that are enrolled already stay enrolled.
    """
    now = now or utc_now()
    found = await lock(tx, import_id)
    if found is None or found.state in ENDED or found.state == "receiving":
        return found
    state: ImportState = {"pause": "paused", "resume": "running", "cancel": "cancelled"}.get(word, found.state)  # type: ignore[assignment]
    rate = found.per_second if per_second is None else per_second
    if (state, rate) == (found.state, found.per_second):
        return found
    row = await tx.execute(_STEER, {"id": import_id, "state": state, "per_second": rate, "now": now})
    if state == "cancelled":
        await tx.execute(_DROP_ROWS, {"id": import_id})
    return read_row(Import, row.mappings().one())


async def untold(tx: AsyncConnection, limit: int = 100, *, now: datetime | None = None) -> list[Import]:
    """Imports whose workflow does not know of a change, and running imports without news for `SILENCE`."""
    given = {"limit": limit, "silent": (now or utc_now()) - SILENCE}
    return [read_row(Import, row) for row in (await tx.execute(_UNTOLD, given)).mappings()]


async def told(tx: AsyncConnection, import_id: str, news: int, *, now: datetime | None = None) -> None:
    """Record that the workflow knows every change up to `news`."""
    await tx.execute(_TOLD, {"id": import_id, "news": news, "now": now or utc_now()})


async def tidy(tx: AsyncConnection, *, now: datetime | None = None) -> None:
    """Give up broken uploads and imports that do not end, and delete those that are past their retention time."""
    now = now or utc_now()
    stuck = await tx.execute(_STUCK, {"silent": now - SILENCE, "old": now - LONGEST})
    for one in stuck.all():
        if one.state == "receiving":
            await fail(tx, one.id, BROKEN_OFF, now=now)
        else:
            await steer(tx, one.id, "cancel", now=now)
            await tx.execute(_WHY, {"id": one.id, "reason": TOO_OLD})
    old = list((await tx.execute(_OLD, {"before": now - KEPT})).scalars())
    for import_id in old:
        await tx.execute(_DELETE_PROBLEMS, {"id": import_id})
        await tx.execute(_DELETE, {"id": import_id})


_COLUMNS = columns(Import, "import_job")
_BEGIN = text(f"""
    INSERT INTO import_job (id, track, options, state, idempotency_key, per_second, created_at, heard_at)
    VALUES (:id, :track, CAST(:options AS jsonb), 'receiving', :key, :per_second, :now, :now)
    RETURNING {_COLUMNS}
""")
_BY_KEY = text(f"SELECT {_COLUMNS} FROM import_job WHERE idempotency_key = :key AND state <> 'receiving'")
_GET = text(f"SELECT {_COLUMNS} FROM import_job WHERE id = :id")
_LOCK = text(f"SELECT {_COLUMNS} FROM import_job WHERE id = :id FOR NO KEY UPDATE")
_START = text(f"""
    UPDATE import_job SET state = 'running', started_at = :now, heard_at = :now, news = news + 1
    WHERE id = :id AND state = 'receiving'
    RETURNING {_COLUMNS}
""")
_FAIL = text("""
    WITH given_up AS (
        UPDATE import_job SET state = 'failed', reason = :reason, ended_at = :now, idempotency_key = NULL
        WHERE id = :id AND state = 'receiving' RETURNING id
    ),
    rows AS (DELETE FROM import_chunk WHERE import_id IN (SELECT id FROM given_up))
    SELECT id FROM given_up
""")
_SUPERSEDE = text(f"""
    WITH given_up AS (
        UPDATE import_job SET state = 'failed', reason = '{BROKEN_OFF}', ended_at = :now, idempotency_key = NULL
        WHERE idempotency_key = :key AND state = 'receiving' RETURNING id
    )
    DELETE FROM import_chunk WHERE import_id IN (SELECT id FROM given_up)
""")
_STEER = text(f"""
    UPDATE import_job SET state = :state, per_second = :per_second, news = news + 1, heard_at = :now, held = '',
        speed = 0, ended_at = CASE WHEN :state = 'cancelled' THEN CAST(:now AS timestamptz) END
    WHERE id = :id
    RETURNING {_COLUMNS}
""")
_DROP_ROWS = text("DELETE FROM import_chunk WHERE import_id = :id")
_UNTOLD = text(f"""
    SELECT {_COLUMNS} FROM import_job
    WHERE (ended_at IS NULL OR told < news) AND (told < news OR (state = 'running' AND heard_at < :silent))
    ORDER BY id LIMIT :limit
""")
_TOLD = text("UPDATE import_job SET told = greatest(told, :news), heard_at = :now WHERE id = :id")
_STUCK = text("""
    SELECT id, state FROM import_job
    WHERE ended_at IS NULL AND ((state = 'receiving' AND heard_at < :silent) OR created_at < :old)
    ORDER BY id
""")
_WHY = text("UPDATE import_job SET reason = :reason WHERE id = :id")
_OLD = text("SELECT id FROM import_job WHERE ended_at < :before ORDER BY id LIMIT 20")
_DELETE_PROBLEMS = text("DELETE FROM import_problem WHERE import_id = :id")
_DELETE = text("DELETE FROM import_job WHERE id = :id")
