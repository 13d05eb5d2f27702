"""How many contacts have each grade of each score, day by day, and how many came to it and left it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.published import scores
from store.published.scores import ScoreSummary

JOB = "score-sizes"
"""The periodic job that counts the contacts of all grades."""


@dataclass(frozen=True, slots=True)
class GradeSize:
    """One day of a grade: contacts when they were last counted, and how many were told as coming to it and leaving."""

    contacts: int
    entered: int
    left: int


@dataclass(frozen=True, slots=True)
class ScoreSize:
    """One day of a score, by grade: the lowest first; grades that the version that counts no longer has come last."""

    day: date
    grades: Mapping[str, GradeSize]


async def note(tx: AsyncConnection, now: datetime) -> None:
    """Count today's contacts of every grade, and the changes of today and, once more, of yesterday.

    The grades are those of the version that counts. Days are those of UTC.
    """
    today = now.date()
    asked = {"day": today, "from": _begin(today), "to": _begin(today + timedelta(days=1))}
    await tx.execute(_FORGET, {"day": today})
    await tx.execute(_NOTE, asked)
    yesterday = today - timedelta(days=1)
    await tx.execute(_AGAIN, {"day": yesterday, "from": _begin(yesterday), "to": _begin(today)})


async def sizes(tx: AsyncConnection, summary: ScoreSummary, *, since: date, limit: int) -> list[ScoreSize]:
    """The days from `since` on, the newest first; at most so many."""
    definition = await scores.definition(tx, summary.name, summary.live or summary.latest)
    places = {grade.name: place for place, grade in enumerate(definition.grades.all)}
    found: dict[date, dict[str, GradeSize]] = {}
    rows = await tx.execute(_SIZES, {"score": summary.name, "since": since, "limit": limit})
    for row in sorted(rows, key=lambda row: places.get(row.grade, len(places))):
        found.setdefault(row.day, {})[row.grade] = GradeSize(row.contacts, row.entered, row.gone)
    return [ScoreSize(day, found[day]) for day in sorted(found, reverse=True)]


def _begin(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"


_CHANGES = """
    SELECT e.properties ->> 'score' AS score, moved.grade, sum(moved.entered) AS entered, sum(moved.gone) AS gone
    FROM event e CROSS JOIN LATERAL (
        VALUES (e.properties ->> 'to', 1, 0), (e.properties ->> 'from', 0, 1)
    ) AS moved (grade, entered, gone)
    WHERE e.name = 'score.graded' AND e.received_at >= CAST(:from AS timestamptz)
        AND e.received_at < CAST(:to AS timestamptz)
    GROUP BY 1, 2
"""
_GRADES = """
    FROM score s JOIN score_version v ON v.score = s.name AND v.version = s.live
    CROSS JOIN LATERAL jsonb_object_keys(v.data -> 'grades') AS g (grade)
"""
# A version that counts since today may have other grades than the one that counted this morning.
_FORGET = text(f"""
    DELETE FROM score_day d WHERE d.day = CAST(:day AS date)
        AND (d.score, d.grade) NOT IN (SELECT s.name, g.grade {_GRADES})
""")
_NOTE = text(f"""
    INSERT INTO score_day (score, day, grade, contacts, entered, "left")
    SELECT s.name, CAST(:day AS date), g.grade, (
        SELECT count(*) FROM score_value x WHERE x.score = s.name AND x.version = s.live AND x.grade = g.grade
    ), coalesce(c.entered, 0), coalesce(c.gone, 0)
    {_GRADES} LEFT JOIN ({_CHANGES}) c ON c.score = s.name AND c.grade = g.grade
    ON CONFLICT (score, day, grade) DO UPDATE
    SET contacts = excluded.contacts, entered = excluded.entered, "left" = excluded."left"
""")
_AGAIN = text(f"""
    UPDATE score_day d SET entered = c.entered, "left" = c.gone FROM ({_CHANGES}) c
    WHERE d.score = c.score AND d.grade = c.grade AND d.day = CAST(:day AS date)
""")
_SIZES = text("""
    WITH days AS (
        SELECT DISTINCT day FROM score_day WHERE score = :score AND day >= :since ORDER BY day DESC LIMIT :limit
    )
    SELECT d.day, d.grade, d.contacts, d.entered, d."left" AS gone
    FROM days JOIN score_day d ON d.score = :score AND d.day = days.day
    ORDER BY d.grade
""")
