"""Compare the stored values of a score with what evaluating all facts gives: both must be the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isclose

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.facts import Facts
from audience.scores.evaluation import ScoreAnswer, evaluate
from audience.scores.probes import probes
from audience.scores.rules import Score
from store.audience.facts import HOLD, contacts_after, draw, facts_of
from store.audience.scores.values import VALUE_NAMES, ScoreValue, value_of
from store.engine.sql import any_of
from store.published import scores
from store.published.scores import ScoreSummary
from store.schema.rows import Contact, read_row
from tracks.conditions.conditions import ConditionError

ROUNDING = 1e-9
"""The relative difference of two values that may come from the order of additions."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A contact whose stored value or grade is not what the facts give; a grade is empty where no value is stored."""

    contact_id: str
    stored: float
    stored_grade: str
    evaluated: float
    evaluated_grade: str


@dataclass(frozen=True, slots=True)
class Checked:
    """The result for some contacts: how many there were, how many are late, and the differences.

    A contact is late whose grade changed by time alone and is not looked at yet; that is no difference.
    """

    contacts: int
    late: int
    differences: Sequence[Difference]
    last: str | None
    """The contact to go on after; None if these were the last ones."""


async def full_facts(
    tx: AsyncConnection, people: Sequence[Contact], score: Score, now: datetime
) -> Mapping[str, Facts | None]:
    """The facts of each contact, by id: all events that the score is about. None where there are too many.

    Of a contact with too many events of a name, those that decide.
    """
    whole = probes([score], whole=True)
    found = await facts_of(tx, [(person, whole) for person in people], now)
    more = [(person, probes([score])) for person in people if found[person.id] is None]
    return {**found, **(await facts_of(tx, more, now) if more else {})}


def judged(score: Score, facts: Facts | None, now: datetime, grade: str | None) -> ScoreAnswer | None:
    """The answer for a contact of that grade; None for one with too many events, or too much data."""
    try:
        return evaluate(score, facts, now, grade) if facts is not None else None
    except ConditionError:
        return None


async def stored(tx: AsyncConnection, score: str, version: int, ids: Sequence[str]) -> dict[str, ScoreValue]:
    """What is stored of these contacts by a version."""
    rows = await tx.execute(_STORED, {"score": score, "version": version, "ids": list(ids)})
    return {row.contact_id: value_of(row) for row in rows}


async def check_sample(tx: AsyncConnection, score: ScoreSummary, now: datetime, *, size: int) -> Checked:
    """Compare about so many contacts, drawn by whole blocks of the table: cheap however many contacts there are."""
    return await _checked(tx, score, await draw(tx, size), now, size + 1)


async def check(tx: AsyncConnection, score: ScoreSummary, now: datetime, *, after: str, limit: int) -> Checked:
    """Compare the next contacts. Those that differ are compared again when their rows are locked."""
    return await _checked(tx, score, await contacts_after(tx, after, limit), now, limit)


async def _checked(
    tx: AsyncConnection, score: ScoreSummary, people: Sequence[Contact], now: datetime, limit: int
) -> Checked:
    late, different = await _compare(tx, score, people, now)
    if different:
        rows = await tx.execute(HOLD, {"ids": sorted(one.contact_id for one in different)})
        _, different = await _compare(tx, score, [read_row(Contact, row) for row in rows.mappings()], now)
    return Checked(len(people), late, different, people[-1].id if len(people) == limit else None)


async def _compare(
    tx: AsyncConnection, score: ScoreSummary, people: Sequence[Contact], now: datetime
) -> tuple[int, list[Difference]]:
    assert score.live is not None
    definition = await scores.definition(tx, score.name, score.live)
    facts = await full_facts(tx, people, definition, now)
    known = await stored(tx, score.name, score.live, [person.id for person in people])
    late, found = 0, []
    for person in people:
        row = known.get(person.id)
        if row is not None and row.changes_at is not None and row.changes_at <= now:
            late += 1
            continue
        answer = judged(definition, facts[person.id], now, row.grade if row else None)
        value = answer.value if answer else 0.0
        grade = answer.grade if answer else definition.grades.grade_of(0.0)
        was = row.course.value_at(now) if row else 0.0
        same = isclose(was, value, rel_tol=ROUNDING, abs_tol=1e-6)
        if row is None or row.grade != grade or not same:
            found.append(Difference(person.id, was, row.grade if row else "", value, grade))
    return late, found


_STORED = text(f"""
    SELECT {VALUE_NAMES} FROM score_value
    WHERE score = :score AND version = :version AND contact_id = {any_of("ids")}
""")
