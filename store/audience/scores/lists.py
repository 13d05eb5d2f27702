"""Lists and numbers of the contacts of each grade, by the version that counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.scores.points.course import course_from_data
from store.published import scores
from store.published.scores import ScoreSummary


@dataclass(frozen=True, slots=True)
class Graded:
    """A contact, the score at a moment, the grade and since when, and when that may change if nothing else happens."""

    contact_id: str
    value: float
    grade: str
    since: datetime
    changes_at: datetime | None


async def page(
    tx: AsyncConnection, score: str, now: datetime, *, grades: Sequence[str], after: str = "", limit: int = 100
) -> list[Graded]:
    """The contacts of these grades after that contact, by the bytes of their ids (keyset pagination)."""
    asked = {"score": score, "after": after, "limit": limit, "grades": list(grades)}
    return [
        Graded(row.contact_id, course_from_data(row.course).value_at(now), row.grade, row.since, row.changes_at)
        for row in await tx.execute(_PAGE, asked)
    ]


async def sizes(tx: AsyncConnection, summary: ScoreSummary) -> dict[str, int]:
    """How many contacts have each grade, counted now; the lowest grade first. Empty while no version counts."""
    if summary.live is None:
        return {}
    definition = await scores.definition(tx, summary.name, summary.live)
    found = dict.fromkeys((grade.name for grade in definition.grades.all), 0)
    rows = await tx.execute(_SIZES, {"score": summary.name, "version": summary.live})
    return found | {row.grade: row.contacts for row in rows}


_PAGE = text("""
    SELECT v.contact_id, v.course, v.grade, v.since, v.changes_at FROM score_value v
    WHERE v.score = :score AND v.version = (SELECT live FROM score WHERE name = :score)
        AND v.grade = ANY(CAST(:grades AS text[])) AND v.contact_id COLLATE "C" > :after
    ORDER BY v.contact_id COLLATE "C" LIMIT :limit
""")
_SIZES = text("""
    SELECT grade, count(*) AS contacts FROM score_value WHERE score = :score AND version = :version GROUP BY grade
""")
