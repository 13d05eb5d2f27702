"""Published scores. A version never changes, so each process reads it once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.scores.document import score_from_data
from audience.scores.probes import events_of
from audience.scores.rules import Score
from store.engine.errors import BusyError
from store.engine.ids import digest
from store.engine.sql import utc_now
from store.published.segments import ANY_CONTACT
from store.published.versions import Published, ReadOnce, VersionSummary, version_summaries
from store.schema.rows import columns, read_row
from store.schema.tables.audience import score_tables as tables

Existing = Literal["tell", "ignore"]
"""Whether those whose grade is another one by a new version are told when it goes live. Later changes always are."""
State = Literal["filling", "switching", "live", "clearing", "ended"]

_read: ReadOnce[tuple[str, int], Score] = ReadOnce(1000)


@dataclass(frozen=True, slots=True)
class ScoreVersion:
    """One version, and how far it has come; see the table's comment for `state`."""

    score: str
    version: int
    source: str
    data: Mapping[str, Any]
    digest: str
    published_at: datetime
    existing: Existing
    state: State
    paused: bool
    position: str
    evaluated: int
    not_judged: int
    live_at: datetime | None


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """A score: its newest version, and the one whose grades count (None while the first is filled)."""

    name: str
    latest: int
    live: int | None


async def publish(
    tx: AsyncConnection,
    score: Score,
    source: str,
    data: Mapping[str, Any],
    *,
    existing: Existing = "ignore",
    fence: bool = True,
    now: datetime | None = None,
) -> Published:
    """Store a new version, to be filled, unless the newest is the same. Concurrent publishers wait for each other.

    A version that is still being filled is given up for the new one.

    Every transaction that stores events or changes contacts reads `score_trigger`. Here the table is locked
    exclusively: those transactions have ended that did not see the new version, and all later ones keep its
    values. So the filling that follows misses nothing. Events that are stored meanwhile wait, so this is the last
    thing to do in a transaction. `fence=False` leaves it out, for a transaction that will be rolled back.

    Raises BusyError if the lock is not to be had soon, for instance while a backup is made.
    """
    now = now or utc_now()
    fingerprint = digest({"data": dict(data)})
    latest = (await tx.execute(_LOCK, {"name": score.score})).scalar_one()
    if latest:
        newest = await version(tx, score.score, latest)
        if newest is not None and newest.digest == fingerprint and newest.state not in ("clearing", "ended"):
            return Published(latest, False)
    number = latest + 1
    if fence:
        await _fence(tx)
    await _give_up(tx, score.score)
    await tx.execute(
        insert(tables.score_version).values(
            score=score.score,
            version=number,
            source=source,
            data=dict(data),
            digest=fingerprint,
            published_at=now,
            existing=existing,
        )
    )
    triggers = [ANY_CONTACT, *sorted(events_of(score))]
    await tx.execute(_TRIGGERS, {"score": score.score, "version": number, "events": triggers})
    await tx.execute(_NEWEST, {"name": score.score, "version": number})
    return Published(number, True)


async def _fence(tx: AsyncConnection) -> None:
    await tx.execute(_PATIENCE)
    try:
        await tx.execute(_FENCE)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            raise BusyError("a long transaction, such as a backup, reads the table score_trigger") from error
        raise


async def _give_up(tx: AsyncConnection, name: str) -> None:
    """End the versions that are being filled: their values are deleted later."""
    await tx.execute(_GIVE_UP, {"name": name})


async def cancel(tx: AsyncConnection, name: str, number: int) -> bool:
    """Give up a version that is being filled. False if it is not."""
    return (await tx.execute(_CANCEL, {"name": name, "version": number})).rowcount > 0


async def pause(tx: AsyncConnection, name: str, number: int, *, paused: bool) -> bool:
    """Pause or go on with the filling (or telling) of a version. False if there is nothing to do for it."""
    return (await tx.execute(_PAUSE, {"name": name, "version": number, "paused": paused})).rowcount > 0


async def get(tx: AsyncConnection, name: str) -> ScoreSummary | None:
    """A score by its name."""
    row = (await tx.execute(_GET, {"name": name})).mappings().first()
    return read_row(ScoreSummary, row) if row else None


async def list_all(tx: AsyncConnection, *, after: str = "", limit: int = 100) -> list[ScoreSummary]:
    """Scores by name, those after `after` (keyset pagination)."""
    rows = await tx.execute(_LIST, {"after": after, "limit": limit})
    return [read_row(ScoreSummary, row) for row in rows.mappings()]


async def version(tx: AsyncConnection, name: str, number: int) -> ScoreVersion | None:
    """One version with its state."""
    row = (await tx.execute(_VERSION, {"name": name, "version": number})).mappings().first()
    return read_row(ScoreVersion, row) if row else None


async def versions(
    tx: AsyncConnection, name: str, *, before: int | None = None, limit: int = 100
) -> list[VersionSummary]:
    """A score's versions below `before`, newest first; empty if there is no such score."""
    table = tables.score_version
    return await version_summaries(tx, table, table.c.score, name, before=before, limit=limit)


async def definition(tx: AsyncConnection, name: str, number: int) -> Score:
    """The score as that version defines it. Raises LookupError, which a stored value never causes."""
    known = _read.get(tx, (name, number))
    if known is not None:
        return known
    row = (await tx.execute(_DATA, {"name": name, "version": number})).first()
    if row is None:
        raise LookupError(f"score {name} has no version {number}")
    loaded = score_from_data(row.data)
    _read.keep(tx, (name, number), loaded, mine=row.mine)
    return loaded


async def names(tx: AsyncConnection) -> set[str]:
    """Every score's name."""
    return set((await tx.execute(text("SELECT name FROM score WHERE latest > 0"))).scalars())


_LOCK = text("""
    INSERT INTO score (name, latest) VALUES (:name, 0)
    ON CONFLICT (name) DO UPDATE SET latest = score.latest
    RETURNING latest
""")
_LOCK_NOT_AVAILABLE = "55P03"
# Events that are stored meanwhile wait behind this lock, hence the short time.
_PATIENCE = text("SET LOCAL lock_timeout = '500ms'")
_FENCE = text("LOCK TABLE score_trigger IN ACCESS EXCLUSIVE MODE")
_GIVE_UP = text("""
    WITH given AS (
        UPDATE score_version SET state = 'clearing', position = '' WHERE score = :name AND state = 'filling'
        RETURNING score, version
    )
    DELETE FROM score_trigger t USING given g WHERE t.score = g.score AND t.version = g.version
""")
_CANCEL = text("""
    WITH given AS (
        UPDATE score_version SET state = 'clearing', position = ''
        WHERE score = :name AND version = :version AND state = 'filling'
        RETURNING score, version
    ),
    gone AS (DELETE FROM score_trigger t USING given g WHERE t.score = g.score AND t.version = g.version)
    UPDATE score s SET latest = s.latest FROM given g WHERE s.name = g.score
""")
_PAUSE = text("""
    UPDATE score_version SET paused = :paused
    WHERE score = :name AND version = :version AND state IN ('filling', 'switching')
""")
_TRIGGERS = text("""
    INSERT INTO score_trigger (score, version, event)
    SELECT :score, :version, unnest(CAST(:events AS text[]))
""")
_NEWEST = text("UPDATE score SET latest = :version WHERE name = :name")
_GET = text(f"SELECT {columns(ScoreSummary, 's')} FROM score s WHERE name = :name AND latest > 0")
_LIST = text(f"""
    SELECT {columns(ScoreSummary, "s")} FROM score s
    WHERE name > :after AND latest > 0 ORDER BY name LIMIT :limit
""")
_VERSION = text(f"""
    SELECT {columns(ScoreVersion, "v")} FROM score_version v WHERE score = :name AND version = :version
""")
_DATA = text("""
    SELECT data, xmin = pg_current_xact_id_if_assigned()::xid AS mine
    FROM score_version WHERE score = :name AND version = :version
""")
