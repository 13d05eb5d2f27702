"""Check what segments name: other segments, tracks and topics."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from audience.segments.document import Reading
from audience.segments.references import Known, inner_of, reference_problems
from store.published import segments, tracks
from tracks.shared.problems import Problem


async def problems_of(
    tx: AsyncConnection,
    readings: Mapping[str, Reading],
    *,
    topics: Collection[str] | None,
    brought_tracks: Collection[str] = (),
) -> Mapping[str, list[Problem]]:
    """The problems of each of these segments, which are published together with some tracks. `topics` are those of the
    policy; None if they are not known."""
    if not readings:
        return {}
    brought = {name: inner_of(reading.source.data) for name, reading in readings.items()}
    counting, newest = await segments.inner_of_all(tx, brought)
    known = Known(
        segments=await segments.names(tx) | brought.keys(),
        tracks=await tracks.names(tx) | set(brought_tracks),
        topics=topics,
        about={**newest, **brought},
        about_until_now=counting,
    )
    return {
        name: [
            Problem(name, reading.source.line(path), "", message)
            for path, message in reference_problems(name, reading.source.data, known)
        ]
        for name, reading in readings.items()
    }
