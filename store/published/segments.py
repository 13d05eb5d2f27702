"""Published segments. A version never changes, so each process reads it once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.segments.date_moments import DateSegment
from audience.segments.document import Segment, segment_from_data
from audience.segments.leaves.standings import cause
from audience.segments.members import triggers_of
from store.engine.errors import BusyError
from store.engine.ids import digest
from store.engine.sql import any_of, utc_now
from store.published.versions import Published, ReadOnce, VersionSummary, version_summaries
from store.schema.rows import columns, read_row
from store.schema.tables.audience import audience_tables as tables
from tracks.model.date_entries import PREFIX, DateMoments

Existing = Literal["enter", "ignore"]
"""Whether those who are members when a version goes live are told as entering (and those who no longer are, as
leaving). Those who enter later always are."""
State = Literal["filling", "telling_entered", "telling_left", "live", "clearing", "ended"]
ANY_CONTACT = ""
"""The trigger of a new contact, and of a changed one."""


def trigger_of(score: str) -> str:
    """The trigger of a change of a contact's grade by this score. An event of this name would do no harm."""
    return f"score {score}"


_read: ReadOnce[tuple[str, int], Segment] = ReadOnce(1000)


@dataclass(frozen=True, slots=True)
class SegmentVersion:
    """One version, and how far it has come; see the table's comment for `state`."""

    segment: str
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
class SegmentSummary:
    """A segment: its newest version, and the one whose members count (None while the first is filled)."""

    name: str
    latest: int
    live: int | None


async def publish(
    tx: AsyncConnection,
    segment: Segment,
    source: str,
    data: Mapping[str, Any],
    *,
    existing: Existing = "ignore",
    fence: bool = True,
    now: datetime | None = None,
) -> Published:
    """Store a new version, to be filled, unless the newest is the same. Concurrent publishers wait for each other.

    A version that is still being filled is given up for the new one.

    Every transaction that stores events or changes contacts reads `segment_trigger`. Here the table is locked
    exclusively: those transactions have ended that did not see the new version, and all later ones keep its
    memberships. So the filling that follows misses nothing. Events that are stored meanwhile wait, so this is the last
    thing to do in a transaction. `fence=False` leaves it out, for a transaction that will be rolled back.

    Raises BusyError if the lock is not to be had soon, for instance while a backup is made.
    """
    now = now or utc_now()
    fingerprint = digest({"data": dict(data)})
    latest = (await tx.execute(_LOCK, {"name": segment.segment})).scalar_one()
    if latest:
        newest = await version(tx, segment.segment, latest)
        if newest is not None and newest.digest == fingerprint and newest.state not in ("clearing", "ended"):
            return Published(latest, False)
    number = latest + 1
    if fence:
        await _fence(tx)
    await _give_up(tx, segment.segment)
    await tx.execute(
        insert(tables.segment_version).values(
            segment=segment.segment,
            version=number,
            source=source,
            data=dict(data),
            digest=fingerprint,
            published_at=now,
            existing=existing,
        )
    )
    triggers = [ANY_CONTACT, *sorted(triggers_of(segment.members)), *map(trigger_of, sorted(segment.scores))]
    await tx.execute(_TRIGGERS, {"segment": segment.segment, "version": number, "events": triggers})
    await tx.execute(_NEWEST, {"name": segment.segment, "version": number})
    return Published(number, True)


async def _fence(tx: AsyncConnection) -> None:
    await tx.execute(_PATIENCE)
    try:
        await tx.execute(_FENCE)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            raise BusyError("a long transaction, such as a backup, reads the table segment_trigger") from error
        raise


async def _give_up(tx: AsyncConnection, name: str) -> None:
    """End the versions that are being filled: their memberships are deleted later."""
    await tx.execute(_GIVE_UP, {"name": name})


async def cancel(tx: AsyncConnection, name: str, number: int) -> bool:
    """Give up a version that is being filled. False if it is not."""
    return (await tx.execute(_CANCEL, {"name": name, "version": number})).rowcount > 0


async def pause(tx: AsyncConnection, name: str, number: int, *, paused: bool) -> bool:
    """Pause or go on with the filling (or telling) of a version. False if there is nothing to do for it."""
    return (await tx.execute(_PAUSE, {"name": name, "version": number, "paused": paused})).rowcount > 0


async def get(tx: AsyncConnection, name: str) -> SegmentSummary | None:
    """A segment by its name."""
    row = (await tx.execute(_GET, {"name": name})).mappings().first()
    return read_row(SegmentSummary, row) if row else None


async def list_all(tx: AsyncConnection, *, after: str = "", limit: int = 100) -> list[SegmentSummary]:
    """Segments by name, those after `after` (keyset pagination). The unnamed ones of dates are no part of lists."""
    rows = await tx.execute(_LIST, {"after": after, "limit": limit})
    return [read_row(SegmentSummary, row) for row in rows.mappings()]


async def version(tx: AsyncConnection, name: str, number: int) -> SegmentVersion | None:
    """One version with its state."""
    row = (await tx.execute(_VERSION, {"name": name, "version": number})).mappings().first()
    return read_row(SegmentVersion, row) if row else None


async def versions(
    tx: AsyncConnection, name: str, *, before: int | None = None, limit: int = 100
) -> list[VersionSummary]:
    """A segment's versions below `before`, newest first; empty if there is no such segment."""
    table = tables.segment_version
    return await version_summaries(tx, table, table.c.segment, name, before=before, limit=limit)


async def definition(tx: AsyncConnection, name: str, number: int) -> Segment:
    """The segment as that version defines it. Raises LookupError, which a stored membership never causes."""
    known = _read.get(tx, (name, number))
    if known is not None:
        return known
    row = (await tx.execute(_DATA, {"name": name, "version": number})).first()
    if row is None:
        raise LookupError(f"segment {name} has no version {number}")
    unnamed = name.startswith(PREFIX)
    loaded = DateSegment.of(DateMoments.model_validate(row.data)) if unnamed else segment_from_data(row.data)
    _read.keep(tx, (name, number), loaded, mine=row.mine)
    return loaded


async def revisit(tx: AsyncConnection, why: str, now: datetime) -> None:
    """Let the segments with this trigger be evaluated again for all contacts whom it may concern, in the background."""
    await tx.execute(_REVISIT, {"cause": why, "now": now})


async def counting_versions(tx: AsyncConnection, names: Collection[str]) -> Mapping[str, int]:
    """The version that counts, of those of these segments that have one."""
    if not names:
        return {}
    rows = await tx.execute(_COUNTING, {"names": sorted(names)})
    return {row.name: row.live for row in rows}


async def inner_of_all(
    tx: AsyncConnection, replaced: Collection[str]
) -> tuple[Mapping[str, set[str]], Mapping[str, set[str]]]:
    """What each segment is about: by the versions that count, and by the newest ones. Of the `replaced` segments, a
    version that is being filled is left out, because it is given up for the next one."""
    counting: dict[str, set[str]] = {}
    newest: dict[str, set[str]] = {}
    for row in await tx.execute(_INNER, {"replaced": sorted(replaced), "prefix": cause("in")}):
        if row.live:
            counting.setdefault(row.segment, set()).add(row.inner)
        if row.newest:
            newest.setdefault(row.segment, set()).add(row.inner)
    return counting, newest


async def names(tx: AsyncConnection) -> set[str]:
    """The name of every segment that has one."""
    return set((await tx.execute(_NAMES)).scalars())


_LOCK = text("""
    INSERT INTO segment (name, latest) VALUES (:name, 0)
    ON CONFLICT (name) DO UPDATE SET latest = segment.latest
    RETURNING latest
""")
_INNER = text("""
    SELECT t.segment, substr(t.event, length(CAST(:prefix AS text)) + 1) AS inner, t.version = s.latest AS newest,
        t.version IS NOT DISTINCT FROM s.live AS live
    FROM segment_trigger t JOIN segment s ON s.name = t.segment
    WHERE starts_with(t.event, :prefix)
        AND (t.version IS NOT DISTINCT FROM s.live OR t.segment <> ALL((SELECT CAST(:replaced AS text[]))::text[]))
""")
REVISIT = """
    INSERT INTO segment_revisit (cause, asked_at)
    SELECT :cause, CAST(:now AS timestamptz) WHERE EXISTS (SELECT FROM segment_trigger WHERE event = :cause)
    ON CONFLICT (cause) DO UPDATE SET asked_at = excluded.asked_at, position = ''
"""
"""SQL for `revisit`, also as a part of another statement."""
_REVISIT = text(REVISIT)
_COUNTING = text(f"SELECT name, live FROM segment WHERE name = {any_of('names')} AND live IS NOT NULL")
_LOCK_NOT_AVAILABLE = "55P03"
# Events that are stored meanwhile wait behind this lock, hence the short time.
_PATIENCE = text("SET LOCAL lock_timeout = '500ms'")
_FENCE = text("LOCK TABLE segment_trigger IN ACCESS EXCLUSIVE MODE")
_GIVE_UP = text("""
    WITH given AS (
        UPDATE segment_version SET state = 'clearing', position = '' WHERE segment = :name AND state = 'filling'
        RETURNING segment, version
    )
    DELETE FROM segment_trigger t USING given g WHERE t.segment = g.segment AND t.version = g.version
""")
_CANCEL = text("""
    WITH given AS (
        UPDATE segment_version SET state = 'clearing', position = ''
        WHERE segment = :name AND version = :version AND state = 'filling'
        RETURNING segment, version
    ),
    gone AS (DELETE FROM segment_trigger t USING given g WHERE t.segment = g.segment AND t.version = g.version)
    UPDATE segment s SET latest = s.latest FROM given g WHERE s.name = g.segment
""")
_PAUSE = text("""
    UPDATE segment_version SET paused = :paused
    WHERE segment = :name AND version = :version AND state IN ('filling', 'telling_entered', 'telling_left')
""")
_TRIGGERS = text("""
    INSERT INTO segment_trigger (segment, version, event)
    SELECT :segment, :version, unnest(CAST(:events AS text[]))
""")
_NEWEST = text("UPDATE segment SET latest = :version WHERE name = :name")
_GET = text(f"SELECT {columns(SegmentSummary, 's')} FROM segment s WHERE name = :name AND latest > 0")
_LIST = text(f"""
    SELECT {columns(SegmentSummary, "s")} FROM segment s
    WHERE name > :after AND latest > 0 AND NOT starts_with(name, '{PREFIX}') ORDER BY name LIMIT :limit
""")
_NAMES = text(f"SELECT name FROM segment WHERE latest > 0 AND NOT starts_with(name, '{PREFIX}')")
_VERSION = text(f"""
    SELECT {columns(SegmentVersion, "v")} FROM segment_version v WHERE segment = :name AND version = :version
""")
_DATA = text("""
    SELECT data, xmin = pg_current_xact_id_if_assigned()::xid AS mine
    FROM segment_version WHERE segment = :name AND version = :version
""")
