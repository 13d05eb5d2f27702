"""Count the live runs of each version of a track, by their steps."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class RunsAt:
    """Live runs at one step of one version; `step` is None if they have reported none yet."""

    track: str
    version: int
    step: str | None
    runs: int


async def runs_at_steps(tx: AsyncConnection, tracks: Collection[str]) -> list[RunsAt]:
    """The live runs of these tracks, by version and by the step that they reported last."""
    if not tracks:
        return []
    rows = await tx.execute(_RUNS, {"tracks": sorted(tracks)})
    return [RunsAt(row.track, row.version, row.step, row.runs) for row in rows]


_RUNS = text("""
    SELECT track, version, step, count(*) AS runs FROM enrollment
    WHERE track = ANY(:tracks) AND ended_at IS NULL
    GROUP BY track, version, step ORDER BY track, version, step
""")
