"""What reads stored events: the versions of segments and scores that are kept, and the tracks in use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.retention import Need, needs_of_exclusions, needs_of_members, needs_of_score
from store.published import scores, segments
from tracks.model.date_entries import PREFIX


async def needs(tx: AsyncConnection, *, replaced: Mapping[str, set[str]]) -> list[tuple[str, Need]]:
    """What everything published reads, each with whose it is, such as `the segment vip`.

    `replaced` are the names, by `segment`, `score` and `track`, that are published in the same transaction: what
    replaces them is judged by itself. Of a track, all versions with live runs count.
    """
    found: list[tuple[str, Need]] = []
    for row in (await tx.execute(_SEGMENTS, {"prefix": PREFIX})).all():
        if row.segment not in replaced["segment"]:
            read = await segments.definition(tx, row.segment, row.version)
            found += _of(f"the segment {row.segment}", needs_of_members(read.members))
    for row in (await tx.execute(_SCORES)).all():
        if row.score not in replaced["score"]:
            score = await scores.definition(tx, row.score, row.version)
            found += _of(f"the score {row.score}", needs_of_score(score))
    for row in (await tx.execute(_TRACKS)).all():
        if row.track not in replaced["track"]:
            found += _of(f"the track {row.track} version {row.version}", needs_of_exclusions(row.data))
    return found


def _of(whose: str, found: Iterator[Need]) -> list[tuple[str, Need]]:
    return [(whose, need) for need in found]


_SEGMENTS = text("""
    SELECT DISTINCT segment, version FROM segment_trigger WHERE NOT starts_with(segment, :prefix)
    ORDER BY segment, version
""")
_SCORES = text("SELECT DISTINCT score, version FROM score_trigger ORDER BY score, version")
_TRACKS = text("""
    SELECT v.track, v.version, v.data FROM track_version v JOIN track t ON t.name = v.track
    WHERE jsonb_path_exists(v.data, '$.**.unless') AND (v.version = t.latest OR EXISTS (
        SELECT FROM enrollment e WHERE e.track = v.track AND e.version = v.version AND e.ended_at IS NULL
    ))
    ORDER BY v.track, v.version
""")
