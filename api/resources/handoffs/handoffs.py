"""Leads that tracks have handed over to sales, and what sales says of them."""

from __future__ import annotations

from dataclasses import astuple, replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from api.http.auth import KeyedRoute
from api.http.context import Context, Ctx
from api.http.fields import SLUG, Body, Identifier, WrittenMoment
from api.http.pagination import CursorText, Limit
from api.http.problems import FieldProblem, ProblemError, documented, invalid, not_found, pointer
from store.people.handoffs import answering
from store.people.handoffs import handoff as handoffs
from store.people.handoffs.answering import Answered, Said
from store.people.handoffs.handoff import Handoff, Status, Wanted
from store.published import policies
from store.schema import merged_ids
from tracks.policy.sales import Sales
from tracks.shared.link_tokens import handoff_url
from tracks.shared.problems import meant

router = APIRouter(prefix="/v1/handoffs", tags=["handoffs"], route_class=KeyedRoute)

HandoffId = Annotated[
    str, Path(max_length=64, description="The handoff's id.", examples=["0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90"])
]
Named = Annotated[str | None, Query(pattern=SLUG)]


class LateAnswer(BaseModel):
    """What sales said too late. It is kept as feedback, and changed nothing."""

    status: Said
    reason: str
    by: str = Field(description="What brought it: `api`, `link` or `crm`.")
    at: datetime


class HandoffSummary(BaseModel):
    """A lead that a track handed over."""

    id: str
    contact_id: str
    enrollment_id: str
    track: str
    step: str
    seq: int = Field(description="Which of the contact's handoffs it is, from 1.")
    team: str
    salesperson: str
    reason: str = Field(description="Why sales should call, as the step says it.")
    scores: dict[str, Any] | None = Field(description="The contact's scores and grades at that moment.")
    explored: bool = Field(description="Whether it was handed over by chance, without the grade that its step needs.")
    status: Status
    at: datetime
    due_at: datetime = Field(description="Until when sales may answer.")
    answered_at: datetime | None = Field(description="When the status changed last.")
    answer_reason: str = Field(description="Why sales rejected the lead: the id of a reason of the policy.")
    answered_by: str = Field(description="What brought the answer: `api`, `link`, `crm` or `run`.")
    crm_task_id: str | None = Field(description="The CRM's id of the task.")
    task_fault: str = Field(
        description="Why HubSpot did not take the answer for its task the last time; empty if it took it."
    )
    late_answers: list[LateAnswer] = Field(
        description="What sales said after the handoff had ended or had another answer, in order."
    )


class HandoffDetail(HandoffSummary):
    """A handoff with the text of its task."""

    summary: str = Field(description="What the salesperson was told.")
    answer_url: str = Field(description="The signed link of the task. Whoever has it can answer.")


class HandoffPage(BaseModel):
    """Handoffs, newest first."""

    handoffs: list[HandoffSummary]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


class Feedback(Body):
    """What sales says of a lead."""

    status: Said = Field(
        description="`accepted` or `rejected` while it waits; `recycled` (given back) or `converted` once accepted."
    )
    reason: str = Field("", max_length=63, description="Only for `rejected`: a reason of the policy.")


class FeedbackTaken(HandoffDetail):
    """The handoff after the answer."""

    repeated: bool = Field(description="True if the same answer was given before; then nothing changed.")
    late: bool = Field(
        description="True if the handoff had ended or had another answer. The answer is kept as feedback only."
    )
    detail: str = Field(description="If late: why it is, as a sentence.")


@router.get("", summary="List handoffs", responses=documented(401, 422))
async def list_handoffs(
    ctx: Ctx,
    status: Annotated[Status | None, Query()] = None,
    team: Named = None,
    salesperson: Named = None,
    contact_id: Annotated[Identifier | None, Query()] = None,
    track: Named = None,
    since: Annotated[WrittenMoment | None, Query(description="Handed over at this time or later.")] = None,
    until: Annotated[WrittenMoment | None, Query(description="Handed over before this time.")] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> HandoffPage:
    """Newest first."""
    wanted = Wanted(status, team, salesperson, contact_id, track, since, until)
    listing = ["handoffs", *(None if value is None else str(value) for value in astuple(wanted))]
    position = ctx.cursors.read(listing, cursor)
    async with ctx.db.transaction() as tx:
        if contact_id is not None:
            wanted = replace(wanted, contact_id=await merged_ids.current(tx, contact_id))
        found = await handoffs.page(tx, wanted, before=str(position[0]) if position else None, limit=limit + 1)
    shown, following = ctx.cursors.cut(listing, found, limit, lambda one: [one.id])
    return HandoffPage(handoffs=[HandoffSummary(**_fields(one)) for one in shown], next=following)


@router.get("/{handoff_id}", summary="Read a handoff", responses=documented(401, 404, 422))
async def get_handoff(handoff_id: HandoffId, ctx: Ctx) -> HandoffDetail:
    """Why the lead was handed over, to whom, what the salesperson was told, and the answer."""
    async with ctx.db.transaction() as tx:
        found = await handoffs.get(tx, handoff_id)
    if found is None:
        raise not_found(f"handoff {handoff_id}")
    return HandoffDetail(**_detail(ctx, found))


@router.post(
    "/{handoff_id}/feedback",
    summary="Answer a handoff",
    responses=documented(400, 401, 404, 409, 413, 415, 422, conflict="handoff-answered"),
)
async def answer_handoff(handoff_id: HandoffId, body: Feedback, ctx: Ctx) -> FeedbackTaken:
    """Takes what sales says. The waiting run goes on at once, and other tracks receive the event.

    The same answer again changes nothing. Another one, or one that comes too late, is kept as feedback, with `late`.
    """
    async with ctx.db.transaction() as tx:
        problem = reason_problem((await policies.current(tx)).policy.sales, body.status, body.reason)
        if problem:
            raise invalid([FieldProblem(detail=problem, pointer=pointer(["reason"]))])
        answered = await answering.answer(tx, body.status, handoff_id=handoff_id, reason=body.reason)
    if answered is None:
        raise not_found(f"handoff {handoff_id}")
    if answered.accepted is not None:
        ctx.metrics.event("handoffs", answered.accepted)
    if answered.outcome == "refused":
        raise ProblemError(409, "handoff-answered", refusal(answered))
    late = answered.outcome == "late"
    return FeedbackTaken(
        **_detail(ctx, answered.handoff),
        repeated=answered.outcome == "repeated",
        late=late,
        detail=refusal(answered) if late else "",
    )


def reason_problem(sales: Sales, said: str, reason: str) -> str:
    """What is wrong with the reason of an answer; empty if nothing is."""
    if said != "rejected":
        return f"Only `rejected` takes a reason, not `{said}`." if reason else ""
    known = list(sales.reject_reasons)
    if reason in known:
        return ""
    listed = ", ".join(known) or "none; add `sales.reject_reasons` to it"
    wrong = f"There is no reason '{reason}'{meant(reason, known)}" if reason else "A rejection needs a reason"
    return f"{wrong}. The policy's reasons: {listed}."


def refusal(answered: Answered) -> str:
    """Why an answer was not taken, or is kept as feedback only, as sentences."""
    found = answered.handoff
    when = f"{found.answered_at:%Y-%m-%d %H:%M} UTC" if found.answered_at else "now"
    if found.status == "expired":
        return (
            f"The answer comes too late: nobody had answered by {when}, and the track went on without sales. "
            "It is kept as feedback."
        )
    if found.status == "failed":
        return "The CRM refused the task, and the track went on without sales."
    if found.status == "waiting":
        return "The lead has not been accepted yet, so it cannot be given back or become a customer."
    reason = f" ({found.answer_reason})" if found.answer_reason else ""
    return f"The lead was answered before: {found.status}{reason}, at {when}. This answer is kept as feedback."


def _fields(found: Handoff) -> dict[str, Any]:
    return {name: getattr(found, name) for name in HandoffSummary.model_fields}


def _detail(ctx: Context, found: Handoff) -> dict[str, Any]:
    url = handoff_url(ctx.settings.link_base, ctx.settings.signing_secret, found.id)
    return {**_fields(found), "summary": found.summary, "answer_url": url}
