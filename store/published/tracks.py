"""Published tracks. A version never changes, so each process reads it once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.ids import digest
from store.engine.sql import utc_now
from store.published.entry_rules import Rules, rules_from_json, rules_of
from store.published.versions import MINE, Published, ReadOnce, VersionSummary, version_summaries
from store.schema.tables import published_tables as tables
from tracks.checks.track_document import track_to_data
from tracks.model.track import Track
from tracks.model.values import PUBLISHED
from tracks.runs.program import Compiled

_CACHE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class TrackSummary:
    """A track and its newest version."""

    name: str
    latest: int
    published_at: datetime
    rules: Rules


@dataclass(frozen=True, slots=True)
class TrackVersion:
    """One immutable version: the track as written, read and compiled."""

    name: str
    version: int
    track: Track
    compiled: Compiled
    source: str
    digest: str
    published_at: datetime


class InUse(NamedTuple):
    """A version of a track that contacts are in, or may enter."""

    track: str
    version: int
    live: bool
    """Whether it has live runs."""


_read: ReadOnce[tuple[str, int], TrackVersion] = ReadOnce(_CACHE_SIZE)


async def publish(
    tx: AsyncConnection, track: Track, compiled: Compiled, source: str, *, now: datetime | None = None
) -> Published:
    """Store a new version unless the newest is the same track. Concurrent publishers wait for each other."""
    now = now or utc_now()
    data = track_to_data(track)
    compiled_data = compiled.model_dump(mode="json")
    fingerprint = digest({"track": data, "compiled": compiled_data})
    name = str(data["track"])
    latest, stored = (await tx.execute(_LOCK, {"name": name, "rules": "{}", "now": now})).one()
    # `latest` is 0 if this statement created the row
    if latest and fingerprint == await _digest(tx, name, latest):
        return Published(latest, False)
    version = latest + 1
    rules = rules_of(track, rules_from_json(stored) if latest else None, now)
    await tx.execute(
        insert(tables.track_version).values(
            track=name,
            version=version,
            source=source,
            data=data,
            compiled=compiled_data,
            digest=fingerprint,
            attributes=list(compiled.attributes),
            published_at=now,
        )
    )
    events = sorted({interest.event for interest in compiled.interests})
    if events:
        await tx.execute(
            insert(tables.interest), [{"track": name, "version": version, "event": event} for event in events]
        )
    await tx.execute(
        update(tables.track)
        .where(tables.track.c.name == name)
        .values(latest=version, entry_event=rules.first_event, rules=rules.to_json(), published_at=now)
    )
    await _enter_by(tx, track, rules)
    return Published(version, True)


async def _enter_by(tx: AsyncConnection, track: Track, rules: Rules) -> None:
    """Write by which events the newest version is entered."""
    await tx.execute(delete(tables.entry_rule).where(tables.entry_rule.c.track == track.track))
    if rules.entries:
        goal = track.goal.event if track.goal else None
        rows = [
            {
                "track": track.track,
                "position": position,
                "event": entry.event,
                "date": entry.date,
                "also_goal": entry.event == goal,
            }
            for position, entry in enumerate(rules.entries)
        ]
        await tx.execute(insert(tables.entry_rule), rows)


async def get(tx: AsyncConnection, name: str) -> TrackSummary | None:
    """A track by its name."""
    row = (await tx.execute(_SUMMARY.where(tables.track.c.name == name))).first()
    return TrackSummary(row.name, row.latest, row.published_at, rules_from_json(row.rules)) if row else None


async def list_all(tx: AsyncConnection, *, after: str = "", limit: int = 100) -> list[TrackSummary]:
    """Tracks by name, those after `after` (keyset pagination)."""
    rows = await tx.execute(_SUMMARY.where(tables.track.c.name > after).order_by(tables.track.c.name).limit(limit))
    return [TrackSummary(row.name, row.latest, row.published_at, rules_from_json(row.rules)) for row in rows]


async def versions(
    tx: AsyncConnection, name: str, *, before: int | None = None, limit: int = 100
) -> list[VersionSummary]:
    """A track's versions below `before`, newest first; empty if there is no such track."""
    table = tables.track_version
    return await version_summaries(tx, table, table.c.track, name, before=before, limit=limit)


async def version(tx: AsyncConnection, name: str, number: int | None = None) -> TrackVersion | None:
    """One version, or the newest if no number is given; from the cache if this process has read it before."""
    if number is None:
        summary = await get(tx, name)
        if summary is None:
            return None
        number = summary.latest
    known = _read.get(tx, (name, number))
    if known is not None:
        return known
    table = tables.track_version
    row = (await tx.execute(select(table, MINE).where(table.c.track == name, table.c.version == number))).first()
    if row is None:
        return None
    loaded = TrackVersion(
        name=name,
        version=number,
        track=Track.model_validate(row.data, context=PUBLISHED),  # not checked again: rules may be stricter now
        compiled=Compiled.model_validate(row.compiled),
        source=row.source,
        digest=row.digest,
        published_at=row.published_at,
    )
    _read.keep(tx, (name, number), loaded, mine=row.mine)
    return loaded


async def in_use_with(tx: AsyncConnection, template: str) -> list[InUse]:
    """The tracks that use a template: the newest version of each, and other versions with live runs."""
    rows = await tx.execute(_IN_USE_WITH, {"template": template})
    return [InUse(row.track, row.version, row.live) for row in rows]


async def names(tx: AsyncConnection) -> set[str]:
    """Every track's name."""
    return set((await tx.execute(text("SELECT name FROM track"))).scalars())


async def pinned(tx: AsyncConnection, name: str, number: int) -> TrackVersion:
    """The version that an enrollment is pinned to. Raises LookupError, which an existing enrollment never causes."""
    found = await version(tx, name, number)
    if found is None:
        raise LookupError(f"track {name} has no version {number}")
    return found


async def _digest(tx: AsyncConnection, name: str, number: int) -> str:
    table = tables.track_version
    found: Any = (
        await tx.execute(select(table.c.digest).where(table.c.track == name, table.c.version == number))
    ).scalar_one()
    return str(found)


_LOCK = text("""
    INSERT INTO track (name, latest, rules, published_at) VALUES (:name, 0, CAST(:rules AS jsonb), :now)
    ON CONFLICT (name) DO UPDATE SET latest = track.latest
    RETURNING latest, rules
""")
_IN_USE_WITH = text("""
    SELECT * FROM (
        SELECT v.track, v.version, v.version = t.latest AS newest, EXISTS (
            SELECT 1 FROM enrollment e WHERE e.track = v.track AND e.version = v.version AND e.ended_at IS NULL
        ) AS live
        FROM track_version v JOIN track t ON t.name = v.track
        WHERE jsonb_path_exists(
            v.data, '$.steps.**.template ? (@ == $name)', jsonb_build_object('name', CAST(:template AS text))
        )
    ) used
    WHERE newest OR live ORDER BY track, version DESC
""")
_SUMMARY = select(tables.track.c.name, tables.track.c.latest, tables.track.c.published_at, tables.track.c.rules)
