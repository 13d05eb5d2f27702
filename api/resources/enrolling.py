"""Enrol contacts, up to a thousand at a time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, WithJsonSchema

from api.http.auth import KeyedLenientBatchRoute, KeyedRoute
from api.http.bodies.batches import judged
from api.http.context import Context, Ctx
from api.http.fields import SLUG, Body, Identifier, Object, ObjectKey
from api.http.problems import FieldProblem, ProblemError, documented, invalid, pointer
from store.runs import run_changes
from store.runs.enrollments import enrolling

MAX_ITEMS = 1_000
MAX_PACE = 10_000_000

router = APIRouter(prefix="/v1/enrollments", tags=["enrollments"], route_class=KeyedRoute)
batch_router = APIRouter(prefix="/v1/enrollments", tags=["enrollments"], route_class=KeyedLenientBatchRoute)


class EnrollmentRequest(Body):
    """A request to enrol a contact in the newest version of a track."""

    track: str = Field(pattern=SLUG, description="The track's name.", examples=["trial-to-paid"])
    contact_id: Identifier
    key: ObjectKey | None = Field(
        default=None,
        description="For a track with one run per object: the object's key. Absent: the property that the track names.",
    )
    properties: Annotated[
        Object, Field(description="`enrollment.properties` in conditions and templates.", examples=[{"plan": "team"}])
    ] = {}
    pace: float = Field(
        default=1.0,
        ge=1,
        le=MAX_PACE,
        allow_inf_nan=False,
        description="Seconds of the run's clock per real second: with 86400 a day passes in a second.",
    )


class Enrolled(BaseModel):
    """The enrollment that the contact has now."""

    id: str
    track: str
    version: int
    contact_id: str
    key: str | None
    status: str
    workflow_id: str = Field(description="The run in Temporal.")
    created: bool = Field(description="False if the enrollment was already live.")


class BatchItem(BaseModel):
    """The result of one item."""

    index: int = Field(description="Place in `enrollments`, from 0.")
    status: Literal[200, 201, 409, 422] = Field(description="The status of the same request for this item alone.")
    enrollment: Enrolled | None = None
    detail: str | None = Field(default=None, description="Why it was refused.")
    errors: list[FieldProblem] = []


class BatchRequest(Body):
    """Up to 1,000 enrollments."""

    enrollments: Annotated[
        list[Any],
        Field(max_length=MAX_ITEMS, description=f"At most {MAX_ITEMS}; each is checked by itself."),
        WithJsonSchema(
            {"type": "array", "maxItems": MAX_ITEMS, "items": {"$ref": "#/components/schemas/EnrollmentRequest"}}
        ),
    ]


class BatchResult(BaseModel):
    """One result per item, in order."""

    results: list[BatchItem]


@router.post(
    "",
    status_code=201,
    summary="Enrol a contact",
    responses={
        200: {"model": Enrolled, "description": "The contact has a live enrollment already: this one"},
        **documented(400, 401, 409, 413, 415, 422),
    },
)
async def post_enrollment(body: EnrollmentRequest, response: Response, ctx: Ctx) -> Enrolled:
    """Stores the enrollment. Temporal gets the start at once, or as soon as it is up again.

    While the enrollment is live, repeating the request returns the same enrollment. After it has ended, the track's
    re-entry rule decides.
    """
    if errors := pace_problems(ctx, body.pace, pointer=pointer(["pace"])):
        raise invalid(errors)
    result = await ctx.enrolling.accept(_wish(body))
    shown = _result(0, body, result)
    if shown.enrollment is None:
        assert shown.detail is not None
        if shown.status == 422:
            raise invalid(shown.errors, shown.detail)
        holder = result.enrollment
        raise ProblemError(
            409,
            "reentry-refused",
            shown.detail,
            extensions={"rule": result.rule, "enrollment_id": holder.id if holder else None},
        )
    response.status_code = shown.status
    return shown.enrollment


@batch_router.post(
    "/batch",
    summary="Enrol up to 1,000 contacts",
    responses=documented(400, 401, 413, 415, 422),
)
async def post_enrollments(body: BatchRequest, ctx: Ctx) -> BatchResult:
    """One result per item, in order. A bad item does not affect the others. One transaction for all."""
    wishes, wrong = judged(body.enrollments, EnrollmentRequest)
    wrong |= {
        index: errors
        for index, wish in wishes.items()
        if (errors := pace_problems(ctx, wish.pace, pointer=pointer(["pace"])))
    }
    wishes = {index: wish for index, wish in wishes.items() if index not in wrong}
    results = {
        index: BatchItem(index=index, status=422, detail="See `errors`.", errors=errors)
        for index, errors in wrong.items()
    }
    async with ctx.db.transaction() as tx:
        enrolled = await run_changes.enroll_many(tx, [_wish(wish) for wish in wishes.values()], bulk=True)
    for (index, wish), result in zip(wishes.items(), enrolled, strict=True):
        results[index] = _result(index, wish, result)
    return BatchResult(results=[results[index] for index in range(len(body.enrollments))])


def pace_problems(ctx: Context, pace: float, **place: str) -> list[FieldProblem]:
    """The problems of a requested pace; `place` says where it is in the request."""
    if pace == 1.0 or ctx.settings.pace_allowed:
        return []
    detail = "This installation does not allow a pace: it changes when messages go out (PERENNIAL_ALLOW_PACE)."
    return [FieldProblem(detail=detail, **place)]


def _wish(body: EnrollmentRequest) -> enrolling.Enrol:
    return enrolling.Enrol(body.track, body.contact_id, body.key, body.properties, body.pace)


def _result(index: int, body: EnrollmentRequest, result: enrolling.Enrolled) -> BatchItem:
    found = result.enrollment
    if result.outcome != "refused" and found is not None:
        created = result.outcome == "created"
        return BatchItem(
            index=index,
            status=201 if created else 200,
            enrollment=Enrolled(
                id=found.id,
                track=found.track,
                version=found.version,
                contact_id=found.contact_id,
                key=found.key or None,
                status=found.status,
                workflow_id=found.workflow_id,
                created=created,
            ),
        )
    if result.refusal == "reentry":
        ended = f" ended ({found.end_reason})" if found and found.end_reason else " ended"
        detail = (
            f"Contact {body.contact_id} has been through {body.track}: that enrollment{ended}, "
            f"and the track's re-entry rule is `{result.rule}`."
        )
        return BatchItem(index=index, status=409, detail=detail)
    place, detail = {
        "unknown_track": ("track", f"There is no track {body.track}; publish it first."),
        "unknown_contact": ("contact_id", f"There is no contact {body.contact_id}; PUT it first."),
        "key_required": (
            "key",
            f"The track has one run {result.rule}: give `key` or that property, as an impersonal id.",
        ),
        "key_refused": ("key", f"The track has one run {result.rule}, and {result.why}."),
        "key_unexpected": ("key", "The track has one run per contact, so it takes no key."),
    }[str(result.refusal)]
    errors = [FieldProblem(detail=detail, pointer=pointer([place]))]
    return BatchItem(index=index, status=422, detail=detail, errors=errors)
