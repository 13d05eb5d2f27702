"""The value to be stored for what was decided about a contact's score."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from audience.facts import Facts
from audience.scores.evaluation import Decision, decide
from audience.scores.points.course import NO_POINTS
from audience.scores.rules import Score
from store.audience.facts import AGAIN
from store.audience.scores.values import ScorePin, ScoreValue
from tracks.conditions.conditions import ConditionError


def first_value(score: Score, contact_id: str, pin: ScorePin, by_live: str | None, now: datetime) -> ScoreValue:
    """What a contact is before the first evaluation: of the grade that counts so far, else of the lowest grade."""
    return ScoreValue(contact_id, *pin, 0.0, now, NO_POINTS, by_live or score.grades.all[0].name, now, None)


def judged(score: Score, row: ScoreValue, facts: Facts | None, now: datetime) -> tuple[ScoreValue, bool]:
    """The value at a moment, for a contact with that value before; and whether the contact could be judged.

    One who cannot be, because of too many events or too much data, has no points, and is looked at again a day later.
    """
    try:
        answer = decide(score, facts, now, row.grade) if facts is not None else None
    except ConditionError:
        answer = None
    if answer is None:
        answer = Decision(0.0, score.grades.grade_of(0.0), now + AGAIN, NO_POINTS)
        return value_at(row, answer, now), False
    return value_at(row, answer, now), True


def value_at(row: ScoreValue, decision: Decision, now: datetime) -> ScoreValue:
    """The value that was decided at a moment, for a contact with that value before."""
    looks = [moment for moment in (decision.changes_at, decision.course.known_until) if moment is not None]
    since = row.since if decision.grade == row.grade else now
    return ScoreValue(
        row.contact_id,
        row.score,
        row.version,
        decision.value,
        now,
        decision.course,
        decision.grade,
        since,
        min(looks, default=None),
        row.seq,
        row.untold,
    )


def untold_of(score: Score, grade: str, by_live: str | None) -> str | None:
    """What a version that is being filled keeps of the grade by the version that counts: see `score_value`."""
    before = by_live or score.grades.all[0].name
    return None if before == grade else before


def to_write(old: ScoreValue | None, new: ScoreValue, now: datetime) -> ScoreValue | None:
    """The row to write; None if it has not changed: an event that gives no points costs no write.

    A deadline that only moves later stays: it is looked at again when it comes. So the indexes of an active contact's
    row are not written each time.
    """
    if old is None:
        return new
    later = old.changes_at is not None and (new.changes_at is None or new.changes_at > old.changes_at)
    if old.changes_at is not None and old.changes_at > now and later:
        new = replace(new, changes_at=old.changes_at)
    same = (old.grade, old.untold, old.course, old.changes_at) == (new.grade, new.untold, new.course, new.changes_at)
    return None if same else new
