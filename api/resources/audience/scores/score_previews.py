"""Which grades contacts would have by a score, before it is published."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.http.auth import KeyedRoute
from api.http.context import Context, Ctx
from api.http.fields import Identifier
from api.http.problems import FieldProblem, documented, not_found, not_published
from api.resources.audience.scores.explanations import ScoreExplanation, explanation_of
from api.resources.audience.segment_previews import AT_ONCE, SAMPLE, SHOWN
from audience.facts import Facts
from audience.scores.document import read_score
from audience.scores.evaluation import ScoreAnswer
from audience.scores.probes import probes
from audience.scores.rules import Score
from store.audience.facts import facts_of, sample
from store.audience.scores.checking import full_facts, judged
from store.audience.scores.values import live_grades
from store.people import contacts
from store.schema.rows import Contact

router = APIRouter(prefix="/v1/scores", tags=["scores"], route_class=KeyedRoute, responses=documented(401, 422))


class ScorePreviewRequest(BaseModel):
    """A score to try."""

    model_config = ConfigDict(extra="forbid")

    source: Annotated[str, StringConstraints(min_length=1, max_length=100_000)] = Field(
        description="The score's YAML.",
        examples=[
            'score: lead\nfit:\n  - {id: team, when: contact.attributes.plan == "team", points: 20}\n'
            "grades: {cold: , warm: 20}\n"
        ],
    )
    contact_id: Identifier | None = Field(None, description="The score of this contact, rule by rule.")


class GradeMove(BaseModel):
    """Contacts who change from one grade to another."""

    before: str | None = Field(description="The grade by the live version; null if they have none.")
    after: str = Field(description="The grade by this version.")
    contacts: int = Field(description="How many of those evaluated.")
    sample: list[str] = Field(description="Ids of some of them.")


class ScorePreview(BaseModel):
    """Which grades contacts would have now. Nothing is kept."""

    score: str
    contacts: int = Field(description="How many contacts there are.")
    evaluated: int = Field(description="How many of them were evaluated: all, or a random sample.")
    not_judged: int = Field(description="How many of those evaluated have too many events or too much data.")
    grades: dict[str, int] = Field(description="How many of those evaluated have each grade, the lowest first.")
    moves: list[GradeMove] = Field(description="Those whose grade is another one than by the live version.")
    contact: ScoreExplanation | None = Field(None, description="The score of `contact_id`.")


@router.post("/preview", summary="Preview a score", responses=documented(404))
async def preview_score(body: ScorePreviewRequest, ctx: Ctx) -> ScorePreview:
    """Checks the score and evaluates it now, for a sample of the contacts and for one contact in particular."""
    reading = await asyncio.to_thread(read_score, body.source, "score")
    if reading.score is None:
        raise not_published("score", [FieldProblem(detail=p.message, line=p.line or None) for p in reading.problems])
    score, now = reading.score, datetime.now(UTC)
    async with ctx.db.transaction() as tx:
        one = await contacts.get(tx, body.contact_id) if body.contact_id is not None else None
        if one is None and body.contact_id is not None:
            raise not_found(f"contact {body.contact_id}")
        explained = None
        if one is not None:
            before = (await live_grades(tx, [one.id]))[one.id].get(score.score)
            answer = judged(score, (await full_facts(tx, [one], score, now))[one.id], now, before)
            explained = explanation_of(one.id, answer, _grade(score, answer))
        drawn = await sample(tx, SAMPLE)
        grades = await live_grades(tx, [person.id for person in drawn.contacts])
    standing = {contact_id: known.get(score.score) for contact_id, known in grades.items()}
    answers = await _answers(ctx, score, drawn.contacts, standing, now)
    found = {contact_id: _grade(score, answer) for contact_id, answer in answers.items()}
    counts = Counter(found.values())
    return ScorePreview(
        score=score.score,
        contacts=drawn.total,
        evaluated=len(answers),
        not_judged=sum(answer is None for answer in answers.values()),
        grades={grade.name: counts[grade.name] for grade in score.grades.all},
        moves=_moves(standing, found),
        contact=explained,
    )


def _grade(score: Score, answer: ScoreAnswer | None) -> str:
    return answer.grade if answer else score.grades.grade_of(0.0)


def _moves(before: Mapping[str, str | None], after: Mapping[str, str]) -> list[GradeMove]:
    """Each pair of two different grades, the most frequent first."""
    people: dict[tuple[str | None, str], list[str]] = {}
    for contact_id, grade in after.items():
        if before[contact_id] != grade:
            people.setdefault((before[contact_id], grade), []).append(contact_id)
    ordered = sorted(people.items(), key=lambda pair: (-len(pair[1]), pair[0][0] or "", pair[0][1]))
    return [
        GradeMove(before=was, after=grade, contacts=len(ids), sample=ids[:: max(1, len(ids) // SHOWN)][:SHOWN])
        for (was, grade), ids in ordered
    ]


async def _answers(
    ctx: Context, score: Score, people: Sequence[Contact], standing: Mapping[str, str | None], now: datetime
) -> Mapping[str, ScoreAnswer | None]:
    answers: dict[str, ScoreAnswer | None] = {}
    asked = probes([score])
    for start in range(0, len(people), AT_ONCE):
        async with ctx.db.transaction() as tx:
            facts = await facts_of(tx, [(person, asked) for person in people[start : start + AT_ONCE]], now)
        answers |= await asyncio.to_thread(_evaluate, score, facts, standing, now)
    return answers


def _evaluate(
    score: Score, facts: Mapping[str, Facts | None], standing: Mapping[str, str | None], now: datetime
) -> dict[str, ScoreAnswer | None]:
    return {contact_id: judged(score, known, now, standing[contact_id]) for contact_id, known in facts.items()}
