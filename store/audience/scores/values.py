"""What is stored of a contact and a version of a score."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.facts import Facts
from audience.scores.grades import Passed
from audience.scores.points.course import Course, course_from_data
from store.engine.driver_sql import later
from store.engine.sql import any_of, as_json_list, many

_Known = TypeVar("_Known", Facts, Facts | None)


class ScorePin(NamedTuple):
    """A version of a score."""

    score: str
    version: int


@dataclass(frozen=True, slots=True)
class ScoreValue:
    """A contact's score by one version; see the table `score_value`. `value` is that at the moment `at`."""

    contact_id: str
    score: str
    version: int
    value: float
    at: datetime
    course: Course
    grade: str
    since: datetime
    changes_at: datetime | None
    seq: int = 0
    untold: str | None = None

    @property
    def pin(self) -> ScorePin:
        """The version that this is about."""
        return ScorePin(self.score, self.version)


@dataclass(frozen=True, slots=True)
class GradeChange:
    """A contact's grade became another one at that moment; to be told as an event. `seq` counts from 1.

    `before` is empty if there was no grade. `passed` are the grades on the way.
    """

    contact_id: str
    score: str
    version: int
    before: str
    grade: str
    at: datetime
    seq: int
    passed: Passed


def value_of(row: Any) -> ScoreValue:
    """The value of a row with the columns `VALUE_NAMES`."""
    return ScoreValue(
        row.contact_id,
        row.score,
        row.version,
        row.value,
        row.at,
        course_from_data(row.course),
        row.grade,
        row.since,
        row.changes_at,
        row.seq,
        row.untold,
    )


def write(tx: AsyncConnection, values: Sequence[ScoreValue]) -> None:
    """Write these values together with the next statement of the transaction."""
    if values:
        later(tx, _WRITE, arrays(values))


def arrays(values: Sequence[ScoreValue]) -> dict[str, Any]:
    """The values of `VALUES_GIVEN`, in the order of their keys: the same everywhere prevents deadlocks."""
    ordered = sorted(values, key=lambda value: (value.contact_id, value.pin))
    found: dict[str, Any] = {name: [getattr(one, name) for one in ordered] for name in _COLUMNS}
    return {**found, "course": as_json_list(one.course.to_data() for one in ordered)}


async def live_grades(tx: AsyncConnection, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """The grades of these contacts by the versions that count: by contact, and then by score."""
    found: dict[str, dict[str, str]] = {contact_id: {} for contact_id in ids}
    for row in await tx.execute(_GRADES, {"ids": list(ids)}):
        found[row.contact_id][row.score] = row.grade
    return found


async def with_grades(tx: AsyncConnection, facts: Mapping[str, _Known], about: Collection[str]) -> Mapping[str, _Known]:
    """The facts of some contacts with their grades, if segments ask for these scores."""
    if not about or not facts:
        return facts
    grades = await live_grades(tx, sorted(facts))
    return {
        contact_id: known if known is None else replace(known, grades=grades[contact_id])
        for contact_id, known in facts.items()
    }


_COLUMNS: Mapping[str, str] = {
    "contact_id": "text",
    "score": "text",
    "version": "int",
    "value": "float8",
    "at": "timestamptz",
    "course": "text",
    "grade": "text",
    "since": "timestamptz",
    "changes_at": "timestamptz",
    "seq": "int",
    "untold": "text",
}
VALUES_GIVEN = many("i", **_COLUMNS)
VALUE_NAMES = ", ".join(_COLUMNS)
VALUES_SELECTED = VALUE_NAMES.replace("course", "course::jsonb")
LIVE = "JOIN score s ON s.name = v.score AND s.live = v.version"
"""Of `score_value v`, only values of the versions that count."""
KEPT = "EXISTS (SELECT FROM score_trigger t WHERE t.score = v.score AND t.version = v.version)"
"""Of `score_value v`, only values that are kept up to date: a replaced version keeps its own until they are cleared."""
_WRITE = text(f"""
    INSERT INTO score_value ({VALUE_NAMES}) SELECT {VALUES_SELECTED} FROM {VALUES_GIVEN} ORDER BY ord
    ON CONFLICT (contact_id, score, version) DO UPDATE SET
        value = excluded.value, at = excluded.at, course = excluded.course, grade = excluded.grade,
        since = excluded.since, changes_at = excluded.changes_at, seq = excluded.seq, untold = excluded.untold
""")
_GRADES = text(f"""
    SELECT v.contact_id, v.score, v.grade FROM score_value v {LIVE} WHERE v.contact_id = {any_of("ids")}
""")
