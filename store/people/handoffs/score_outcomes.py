"""How handed-over leads ended, by the grade of a score and by its rules, as they were when the lead was handed over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class Ended:
    """The leads of one group by how they ended."""

    accepted: int
    """Also those given back and those who became customers."""
    converted: int
    rejected: int
    unanswered: int
    late_accepted: int = 0
    """Of the unanswered: those of whom sales said so later, by its last word. Counted by grade only."""
    late_rejected: int = 0


@dataclass(frozen=True, slots=True)
class RuleEnded:
    """The leads to which one rule gave points, and those to which it gave none."""

    rule: str
    points: float
    """The mean of the points that it gave."""
    given: Ended
    others: Ended


async def by_grade(
    tx: AsyncConnection, score: str, *, since: datetime | None = None, until: datetime | None = None
) -> dict[str, Ended]:
    """The leads that were handed over in that time with this score, by their grade. Leads that still wait are left
    out, and so are those whose task the CRM refused."""
    rows = await tx.execute(_BY_GRADE, {"score": score, "since": since, "until": until})
    return {
        row.grade: Ended(
            row.accepted, row.converted, row.rejected, row.unanswered, row.late_accepted, row.late_rejected
        )
        for row in rows
    }


async def explored_by_grade(
    tx: AsyncConnection, score: str, *, since: datetime | None = None, until: datetime | None = None
) -> dict[str, Ended]:
    """Of these leads those that were handed over by chance, by their grade."""
    rows = await tx.execute(_EXPLORED, {"score": score, "since": since, "until": until})
    return {row.grade: Ended(row.accepted, row.converted, row.rejected, row.unanswered) for row in rows}


async def by_rule(
    tx: AsyncConnection, score: str, *, since: datetime | None = None, until: datetime | None = None
) -> list[RuleEnded]:
    """The same leads by each rule that gave points to any of them, in the order of the rules' names."""
    rows = await tx.execute(_BY_RULE, {"score": score, "since": since, "until": until})
    return [
        RuleEnded(
            row.rule,
            row.points,
            Ended(row.accepted, row.converted, row.rejected, row.unanswered),
            Ended(
                row.all_accepted - row.accepted,
                row.all_converted - row.converted,
                row.all_rejected - row.rejected,
                row.all_unanswered - row.unanswered,
            ),
        )
        for row in rows
    ]


_COUNTS = """
    count(*) FILTER (WHERE status IN ('accepted', 'recycled', 'converted')) AS {0}accepted,
    count(*) FILTER (WHERE status = 'converted') AS {0}converted,
    count(*) FILTER (WHERE status = 'rejected') AS {0}rejected,
    count(*) FILTER (WHERE status = 'expired') AS {0}unanswered
"""
_LATE = """
    count(*) FILTER (WHERE status = 'expired' AND late IN ('accepted', 'recycled', 'converted')) AS late_accepted,
    count(*) FILTER (WHERE status = 'expired' AND late = 'rejected') AS late_rejected
"""
_LEADS = """
    SELECT id, status, explored, late_answers -> -1 ->> 'status' AS late, scores -> :score AS score FROM handoff
    WHERE scores ? :score AND status NOT IN ('waiting', 'failed')
        AND (CAST(:since AS timestamptz) IS NULL OR at >= :since)
        AND (CAST(:until AS timestamptz) IS NULL OR at < :until)
"""
_BY_GRADE = text(f"""
    SELECT score ->> 'grade' AS grade, {_COUNTS.format("")}, {_LATE} FROM ({_LEADS}) l
    WHERE score ? 'grade' GROUP BY 1 ORDER BY 1
""")
_EXPLORED = text(f"""
    SELECT score ->> 'grade' AS grade, {_COUNTS.format("")} FROM ({_LEADS}) l
    WHERE score ? 'grade' AND explored GROUP BY 1 ORDER BY 1
""")
_BY_RULE = text(f"""
    WITH lead AS ({_LEADS}),
    given AS (
        SELECT l.id, l.status, p.key AS rule, CAST(p.value AS double precision) AS points
        FROM lead l CROSS JOIN LATERAL jsonb_each_text(l.score -> 'points') p
        WHERE CAST(p.value AS double precision) <> 0
    ),
    whole AS (SELECT {_COUNTS.format("all_")} FROM lead)
    SELECT g.*, w.* FROM (
        SELECT rule, avg(points) AS points, {_COUNTS.format("")} FROM given GROUP BY rule
    ) g CROSS JOIN whole w ORDER BY g.rule
""")
