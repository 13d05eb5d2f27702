"""The contacts of a score as a whole: exported, and counted by day and grade."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from api.http.auth import KeyedRoute
from api.http.context import Context, Ctx
from api.http.problems import documented
from api.resources.audience.scores.score_values import NOT_LIVE, GradeName, grades_asked, known_score
from api.resources.audience.streamed_rows import AT_ONCE, CONTENT, FileFormat, Row, streamed
from api.resources.publishing.scores import ScoreName
from store.audience.scores import lists, sizes

router = APIRouter(prefix="/v1/scores", tags=["scores"], route_class=KeyedRoute, responses=documented(401, 404, 422))

_COLUMNS = ("contact_id", "value", "grade", "since", "changes_at")


@router.get(
    "/{score}/export",
    summary="Export a score's contacts",
    response_class=StreamingResponse,
    responses={**NOT_LIVE, 200: {"content": CONTENT, "description": "One line a contact"}},
)
async def export_graded(
    score: ScoreName, ctx: Ctx, grade: GradeName = None, file_format: FileFormat = "csv"
) -> StreamingResponse:
    """Streams all contacts with their scores and grades by the live version, those of one grade if `grade` is given.
    Who changes meanwhile may be in it or not."""
    grades = await grades_asked(ctx, score, grade)
    return streamed(_COLUMNS, _pages(ctx, score, grades), file_format)


async def _pages(ctx: Context, score: str, grades: Sequence[str]) -> AsyncIterator[Sequence[Row]]:
    after = ""
    while True:
        async with ctx.db.transaction() as tx:
            found = await lists.page(tx, score, datetime.now(UTC), grades=grades, after=after, limit=AT_ONCE)
        if not found:
            return
        yield [
            {
                "contact_id": one.contact_id,
                "value": one.value,
                "grade": one.grade,
                "since": one.since.isoformat(),
                "changes_at": one.changes_at.isoformat() if one.changes_at else None,
            }
            for one in found
        ]
        after = found[-1].contact_id


class GradeSize(BaseModel):
    """One day of a grade."""

    contacts: int = Field(description="How many contacts had the grade when they were last counted on that day.")
    entered: int = Field(description="How many were told as coming to it on that day.")
    left: int = Field(description="How many were told as leaving it on that day.")


class ScoreSize(BaseModel):
    """One day of a score."""

    day: date = Field(description="A day of UTC.")
    grades: dict[str, GradeSize] = Field(description="By grade, the lowest first.")


class ScoreSizes(BaseModel):
    """Days, the newest first."""

    days: list[ScoreSize]


@router.get("/{score}/sizes", summary="List the sizes of a score's grades by day")
async def list_score_sizes(
    score: ScoreName,
    ctx: Ctx,
    days: Annotated[int, Query(ge=1, le=1_000, description="How many days back, today included.")] = 30,
) -> ScoreSizes:
    """How many contacts had each grade each day, and how many came to it and left it. Counted every quarter of an
    hour."""
    summary = await known_score(ctx, score)
    since = datetime.now(UTC).date() - timedelta(days=days - 1)
    async with ctx.db.transaction() as tx:
        found = await sizes.sizes(tx, summary, since=since, limit=days)
    return ScoreSizes(days=[ScoreSize.model_validate(one, from_attributes=True) for one in found])
