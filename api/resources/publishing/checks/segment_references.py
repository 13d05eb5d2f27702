"""Check what segments name (other segments, tracks and topics), and how much they would read."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from audience.segments.document import Reading
from audience.segments.reading_costs import cost_problems, readings_of, wanted
from audience.segments.references import Known, inner_of, reference_problems
from store.audience import reading_costs
from store.engine.sql import utc_now
from store.published import segments, tracks
from tracks.shared.problems import Problem
from tracks.shared.yaml_source import Path


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
    problems: dict[str, list[Problem]] = {}
    for name, reading in readings.items():
        found = [*reference_problems(name, reading.source.data, known), *await _cost_problems(tx, name, reading)]
        problems[name] = [Problem(name, reading.source.line(path), "", message) for path, message in found]
    return problems


async def _cost_problems(tx: AsyncConnection, name: str, reading: Reading) -> list[tuple[Path, str]]:
    """Leaves that would read too many events. A segment that is published already is not refused for what came later:
    publishing it again changes nothing."""
    if reading.segment is None:
        return []
    readings = readings_of(reading.source.data)
    newest = await segments.get(tx, name) if readings else None
    published = await segments.version(tx, name, newest.latest) if newest else None
    if not readings or (published is not None and published.data == reading.source.data):
        return []
    measured = await reading_costs.measure(tx, wanted(readings), utc_now())
    return list(cost_problems(readings, measured))
