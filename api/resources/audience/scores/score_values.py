"""The contacts of a score: listed by grade, explained and checked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.http.auth import KeyedRoute
from api.http.context import Context, Ctx
from api.http.pagination import CursorText, Limit
from api.http.problems import FieldProblem, ProblemError, documented, invalid, not_found
from api.resources.audience.scores.explanations import ScoreExplanation, explanation_of
from api.resources.contacts import ContactId
from api.resources.publishing.scores import ScoreName
from store.audience.scores import at_a_moment, checking, lists
from store.people import contacts
from store.published import scores
from store.published.scores import ScoreSummary

router = APIRouter(prefix="/v1/scores", tags=["scores"], route_class=KeyedRoute, responses=documented(401, 404, 422))
NOT_LIVE = documented(409, conflict="score-not-live")

GradeName = Annotated[str | None, Query(max_length=200, description="Only contacts of this grade.")]
CHECKED = 500
"""Contacts of one call of the check."""


class GradedContact(BaseModel):
    """A contact with a grade."""

    contact_id: str
    value: float = Field(description="The score now.")
    grade: str
    since: datetime = Field(description="Since when the contact has this grade.")
    changes_at: datetime | None = Field(
        description="The grade does not change before this moment if nothing else happens; null: never."
    )


class GradedPage(BaseModel):
    """Contacts, ordered by the bytes of their ids."""

    contacts: list[GradedContact]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


class ScoreDifference(BaseModel):
    """A contact whose stored score is not what the facts give."""

    contact_id: str
    stored: float
    stored_grade: str = Field(description="Empty if nothing is stored.")
    evaluated: float
    evaluated_grade: str


class ScoreCheck(BaseModel):
    """Stored scores beside a full evaluation, for some contacts."""

    contacts: int = Field(description="How many contacts were compared.")
    late: int = Field(description="How many of them are due to be looked at this moment, and are not compared.")
    differences: list[ScoreDifference] = Field(description="Should be empty.")
    next: str | None = Field(description="Cursor of the next contacts; null if these were the last.")


@router.get("/{score}/contacts", summary="List contacts by grade", responses=NOT_LIVE)
async def list_graded(
    score: ScoreName,
    ctx: Ctx,
    grade: GradeName = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> GradedPage:
    """The contacts by the live version. While the first version is filled, 409: there are no grades yet."""
    wanted = await grades_asked(ctx, score, grade)
    listing = ["score", score, grade or ""]
    position = ctx.cursors.read(listing, cursor)
    async with ctx.db.transaction() as tx:
        after = str(position[0]) if position else ""
        found = await lists.page(tx, score, datetime.now(UTC), grades=wanted, after=after, limit=limit + 1)
    shown, following = ctx.cursors.cut(listing, found, limit, lambda one: [one.contact_id])
    listed = [
        GradedContact(
            contact_id=one.contact_id, value=one.value, grade=one.grade, since=one.since, changes_at=one.changes_at
        )
        for one in shown
    ]
    return GradedPage(contacts=listed, next=following)


@router.get("/{score}/contacts/{contact_id}", summary="Explain a contact's score")
async def explain_score(score: ScoreName, contact_id: ContactId, ctx: Ctx) -> ScoreExplanation:
    """The contact's score by the live version now, rule by rule; the points of all rules sum to it."""
    summary, now = await known_score(ctx, score), datetime.now(UTC)
    async with ctx.db.transaction() as tx:
        person = await contacts.get(tx, contact_id)
        if person is None:
            raise not_found(f"contact {contact_id}")
        found = await at_a_moment.explain(tx, person, score, summary.live or summary.latest, now)
    return explanation_of(person.id, found.answer, found.grade, found.since)


@router.get("/{score}/check", summary="Check a score", responses=NOT_LIVE)
async def check_score(score: ScoreName, ctx: Ctx, cursor: CursorText = None) -> ScoreCheck:
    """Compares stored scores and grades with a full evaluation from the facts, for the next 500 contacts."""
    summary = await _live(ctx, score)
    listing = ["score-check", score]
    position = ctx.cursors.read(listing, cursor)
    async with ctx.db.transaction() as tx:
        checked = await checking.check(
            tx, summary, datetime.now(UTC), after=str(position[0]) if position else "", limit=CHECKED
        )
    return ScoreCheck(
        contacts=checked.contacts,
        late=checked.late,
        differences=[
            ScoreDifference(
                contact_id=one.contact_id,
                stored=one.stored,
                stored_grade=one.stored_grade,
                evaluated=one.evaluated,
                evaluated_grade=one.evaluated_grade,
            )
            for one in checked.differences
        ],
        next=ctx.cursors.make(listing, [checked.last]) if checked.last is not None else None,
    )


async def grades_asked(ctx: Context, score: str, grade: str | None) -> list[str]:
    """This grade, or all grades of the live version. Raises ProblemError, 409 while there is none, and 422 for a grade
    that the score does not have."""
    summary = await _live(ctx, score)
    async with ctx.db.transaction() as tx:
        assert summary.live is not None
        known = [one.name for one in (await scores.definition(tx, score, summary.live)).grades.all]
    if grade is not None and grade not in known:
        words = f"The score has the grades {', '.join(known)}."
        raise invalid([FieldProblem(detail=words, pointer="#/query/grade")])
    return known if grade is None else [grade]


async def known_score(ctx: Context, score: str) -> ScoreSummary:
    """The score. Raises ProblemError, 404, for one that was never published."""
    async with ctx.db.transaction() as tx:
        summary = await scores.get(tx, score)
    if summary is None:
        raise not_found(f"score {score}")
    return summary


async def _live(ctx: Context, score: str) -> ScoreSummary:
    """The score. Raises ProblemError, 409, while its first version is filled."""
    summary = await known_score(ctx, score)
    if summary.live is None:
        raise ProblemError(409, "score-not-live", f"The first version of {score} is still being filled.")
    return summary
