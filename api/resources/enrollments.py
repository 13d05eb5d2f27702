"""Enrollments: where each contact is on each track."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from api.http.auth import KeyedRoute
from api.http.context import Context, Ctx
from api.http.fields import SLUG, Body, Identifier
from api.http.pagination import CursorText, Limit
from api.http.problems import documented, not_found
from api.resources.messages import MessageSummary, summary
from api.temporal import run_queries
from store.runs.enrollments import enrollments
from store.schema import merged_ids
from store.schema.rows import Enrollment, EnrollmentStatus
from store.sending.messages import message_lists
from store.sending.messages.message_lists import Listed
from tracks.runs.run_interface import Journey, PathEntry

router = APIRouter(prefix="/v1/enrollments", tags=["enrollments"], route_class=KeyedRoute)

EnrollmentId = Annotated[
    str, Path(max_length=64, description="The enrollment's id.", examples=["0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90"])
]
_PATH_SHOWN = 1000


class EnrollmentSummary(BaseModel):
    """One contact's run of one track version. Times are real times in UTC unless stated otherwise."""

    id: str
    track: str
    version: int
    contact_id: str
    key: str | None = Field(description="The object's key, if the track has one run per object.")
    entry: str | None = Field(description="The track's entry that began it; null: the API, an import or a step.")
    status: EnrollmentStatus
    step: str | None = Field(description="The current step, as far as the database knows.")
    created_at: datetime
    started_at: datetime | None = Field(description="When Temporal received the start.")
    goal_reached_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None
    pace: float
    workflow_id: str = Field(description="The run in Temporal.")


class Step(BaseModel):
    """One step that the run has been through."""

    step: str
    kind: str
    outcome: str
    at: datetime = Field(description="When it ended, on the run's clock.")
    detail: str = Field(description="The reason, the branch or the message: ids and reasons only.")


class EnrollmentDetail(EnrollmentSummary):
    """An enrollment with what it waits for and what has happened."""

    properties: dict[str, Any]
    as_of: Literal["run", "database"] = Field(
        description="`run`: the live run answered. `database`: the run has ended or did not answer; its latest "
        "steps may be missing."
    )
    state: str | None = Field(description="What the run does now, in one word.")
    trouble: str | None = Field(description="Why the run's activity is being retried: how the latest attempt failed.")
    waiting_for: str | None
    until: datetime | None = Field(description="When the wait ends, on the run's clock.")
    until_real: datetime | None = Field(description="The same in real time.")
    path: list[Step] = Field(description="Oldest first.")
    messages: list[MessageSummary] = Field(description="Oldest first.")
    counts: dict[str, Any] = Field(description="The run's own counts, once it has ended.")
    dropped: dict[str, int] = Field(description="Signals that the run ignored, by reason.")


class EnrollmentPage(BaseModel):
    """Enrollments, newest first."""

    enrollments: list[EnrollmentSummary]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


class EndRequest(Body):
    """Why the run should end."""

    reason: str = Field(
        default="ended-by-api",
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        description="The reason, for reports. It appears in the workflow's history: no personal data.",
    )


class EndAccepted(BaseModel):
    """Whether there was a live run to end."""

    id: str
    ending: bool = Field(description="False if it had ended already.")


def _summary(found: Enrollment) -> dict[str, Any]:
    return {
        "id": found.id,
        "track": found.track,
        "version": found.version,
        "contact_id": found.contact_id,
        "key": found.key or None,
        "entry": found.entry,
        "status": found.status,
        "step": found.step,
        "created_at": found.created_at,
        "started_at": found.started_at,
        "goal_reached_at": found.goal_reached_at,
        "ended_at": found.ended_at,
        "end_reason": found.end_reason,
        "pace": found.pace,
        "workflow_id": found.workflow_id,
    }


@router.get("", summary="List enrollments", responses=documented(401, 422))
async def list_enrollments(
    ctx: Ctx,
    track: Annotated[str | None, Query(pattern=SLUG)] = None,
    contact_id: Annotated[Identifier | None, Query()] = None,
    status: Annotated[EnrollmentStatus | None, Query()] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> EnrollmentPage:
    """Newest first, from the database: live runs are not queried."""
    return await page_of(ctx, track, contact_id, status, limit, cursor)


async def page_of(
    ctx: Context,
    track: str | None,
    contact_id: str | None,
    status: EnrollmentStatus | None,
    limit: int,
    cursor: str | None,
) -> EnrollmentPage:
    """One page of the matching enrollments."""
    listing = ["enrollments", track, contact_id, status]
    position = ctx.cursors.read(listing, cursor)
    async with ctx.db.transaction() as tx:
        found = await enrollments.list_page(
            tx,
            track=track,
            contact_id=contact_id and await merged_ids.current(tx, contact_id),
            status=status,
            before=str(position[0]) if position else None,
            limit=limit + 1,
        )
    shown, following = ctx.cursors.cut(listing, found, limit, lambda one: [one.id])
    return EnrollmentPage(
        enrollments=[EnrollmentSummary(**_summary(one)) for one in shown],
        next=following,
    )


@router.get("/{enrollment_id}", summary="Read an enrollment", responses=documented(401, 404, 422))
async def get_enrollment(enrollment_id: EnrollmentId, ctx: Ctx) -> EnrollmentDetail:
    """Status, step, current wait and its end, the path so far, and messages.

    A live run is queried for at most a second. If it does not answer, the answer comes from the database, and `as_of`
    says so.
    """
    async with ctx.db.transaction() as tx:
        found = await enrollments.get(tx, enrollment_id)
    journey = trouble = None
    if found is not None and found.ended_at is None and found.started_at is not None:
        # Query the run before reading the path: steps that the run has dropped from its memory are then in the
        # database.
        journey = await run_queries.ask(ctx.temporal, found.workflow_id, found.id)
        if journey is not None and journey.state.startswith("doing"):
            trouble = await run_queries.trouble(ctx.temporal, found.workflow_id)
    async with ctx.db.transaction() as tx:
        found = await enrollments.get(tx, enrollment_id)
        if found is None:
            raise not_found(f"enrollment {enrollment_id}")
        path = await enrollments.path(tx, enrollment_id, limit=_PATH_SHOWN)
        sent = await message_lists.of_enrollment(tx, enrollment_id)
    return _detail(found, path, sent, journey, trouble)


def _detail(
    found: Enrollment, path: list[PathEntry], sent: list[Listed], journey: Journey | None, trouble: str | None
) -> EnrollmentDetail:
    entries = {entry.seq: entry for entry in path}
    shown = _summary(found)
    until = None
    if journey is not None:
        entries |= {entry.seq: entry for entry in journey.path}
        shown["step"] = journey.step
        until = journey.until
    return EnrollmentDetail(
        **shown,
        properties=dict(found.properties),
        as_of="database" if journey is None else "run",
        state=journey.state if journey else None,
        trouble=trouble,
        waiting_for=journey.waiting_for if journey else None,
        until=until,
        until_real=found.clock.real(until) if until else None,
        path=[
            Step(step=entry.step, kind=entry.kind, outcome=entry.outcome, at=entry.at, detail=entry.detail)
            for _, entry in sorted(entries.items())
        ],
        messages=[MessageSummary(**summary(one.message, one.content)) for one in sent],
        counts=dict(found.counts),
        dropped=journey.dropped if journey else {},
    )


@router.post(
    "/{enrollment_id}/end",
    status_code=202,
    summary="End a run now",
    responses=documented(400, 401, 404, 413, 415, 422),
)
async def end_enrollment(enrollment_id: EnrollmentId, ctx: Ctx, body: EndRequest | None = None) -> EndAccepted:
    """From the answer on, nothing is sent. The run ends as soon as Temporal has received the signal."""
    async with ctx.db.transaction() as tx:
        if await enrollments.get(tx, enrollment_id) is None:
            raise not_found(f"enrollment {enrollment_id}")
        ending = await enrollments.request_end(tx, enrollment_id, (body or EndRequest()).reason)
    return EndAccepted(id=enrollment_id, ending=ending)
