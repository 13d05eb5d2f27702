"""A contact's scores at a moment, rule by rule: for explanations, and for what is kept of a handoff."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.scores.evaluation import ScoreAnswer
from store.audience.scores.checking import full_facts, judged, stored
from store.published import scores
from store.schema.rows import Contact


@dataclass(frozen=True, slots=True)
class Explained:
    """A contact's score by one version, and why. `answer` is None for a contact who cannot be judged.

    `grade` and `since` are what is stored: the grade that was told. The points of `answer.explanation` sum to its
    value.
    """

    score: str
    version: int
    grade: str
    since: datetime
    answer: ScoreAnswer | None

    @property
    def value(self) -> float:
        """The score at the moment; 0 for a contact who cannot be judged."""
        return self.answer.value if self.answer else 0.0

    def points(self) -> dict[str, float]:
        """What each rule adds, by its id; nothing for a contact who cannot be judged."""
        return {one.rule: one.points for one in self.answer.explanation} if self.answer else {}

    def to_data(self) -> dict[str, Any]:
        """The score as JSON data without any fact about the contact: version, value, grade, and points by rule."""
        return {"version": self.version, "value": self.value, "grade": self.grade, "points": self.points()}


async def explain(tx: AsyncConnection, contact: Contact, score: str, version: int, now: datetime) -> Explained:
    """A contact's score by that version, at that moment. Raises LookupError if there is no such version."""
    definition = await scores.definition(tx, score, version)
    row = (await stored(tx, score, version, [contact.id])).get(contact.id)
    facts = (await full_facts(tx, [contact], definition, now))[contact.id]
    answer = judged(definition, facts, now, row.grade if row else None)
    grade = row.grade if row else answer.grade if answer else definition.grades.grade_of(0.0)
    return Explained(score, version, grade, row.since if row else now, answer)


async def all_of(tx: AsyncConnection, contact: Contact, now: datetime) -> dict[str, Explained]:
    """All scores of a contact by the versions that count, at that moment, with what each rule adds; by score."""
    live = await tx.execute(text("SELECT name, live FROM score WHERE live IS NOT NULL ORDER BY name"))
    return {row.name: await explain(tx, contact, row.name, row.live, now) for row in live.all()}
