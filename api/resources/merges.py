"""Merge two contacts that are one person, and undo it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from api.http.auth import KeyedRoute
from api.http.context import Ctx
from api.http.fields import Body, Identifier
from api.http.problems import ProblemError, documented, not_found
from api.resources.contacts import ContactId
from store.people import contacts
from store.people.merging import merge, merge_records, unmerge
from store.people.merging.merge_records import Merge

router = APIRouter(prefix="/v1/contacts", tags=["contacts"], route_class=KeyedRoute, responses=documented(401, 422))


class MergeRequest(Body):
    """The other id of the same person."""

    model_config = ConfigDict(extra="forbid", validate_by_name=True, validate_by_alias=True)

    from_: Identifier = Field(alias="from", description="Id of the contact that goes into the one of the address.")


class MergeResult(BaseModel):
    """The contact that both ids stand for now, and what became the survivor's."""

    contact_id: str = Field(description="The surviving contact.")
    merged_id: str = Field(description="The id that stands for the survivor from now on.")
    merged: bool = Field(description="False if both ids stood for the same contact before; nothing was changed.")
    merge_id: str | None
    undoable_until: datetime | None = Field(description="Until when it can be undone.")
    moved: dict[str, int] = Field(description="Number of rows that became the survivor's, by table.")
    filled: list[str] = Field(description="Fields and attributes that the survivor lacked.")
    runs_ended: list[str] = Field(
        description="Enrollments that end, because the other contact's run of the same track is older and goes on."
    )


class UnmergeResult(BaseModel):
    """Two contacts again."""

    contact_id: str
    merged_id: str = Field(description="The contact that was given back.")
    moved: dict[str, int] = Field(description="Number of rows that were given back, by table.")


class MergeRecord(BaseModel):
    """A merge that was made."""

    id: str
    contact_id: str = Field(description="The contact that survived.")
    merged_id: str
    merged_by: str = Field(description="Name of the API key; `hubspot` if it was merged there.")
    merged_at: datetime
    undoable_until: datetime | None = Field(description="Null if it cannot be undone, or was undone.")
    undone_by: str | None = Field(description="Name of the API key.")
    undone_at: datetime | None
    moved: dict[str, int] = Field(description="Number of rows that it moved, by table.")


class MergeList(BaseModel):
    """The merges of a contact, newest first."""

    contact_id: str = Field(description="The contact that the id stands for now.")
    merges: list[MergeRecord]


@router.post("/{contact_id}/merge", summary="Merge two contacts", responses=documented(400, 404, 409, 413, 415))
async def post_merge(contact_id: ContactId, body: MergeRequest, request: Request, ctx: Ctx) -> MergeResult:
    """Everything of the contact `from` becomes this contact's, in one transaction. `from` then stands for this contact.

    Own values win, missing ones are filled; of consents and suppressions the stricter holds; segments are evaluated
    anew. Of two live runs of one track the older goes on. Repeating the call changes nothing.
    """
    now = datetime.now(UTC)
    async with ctx.db.transaction() as tx:
        done = await merge.merge(
            tx, contact_id, body.from_, by=request.state.key_name, now=now, pace=ctx.settings.pace_at_entry
        )
    if done.outcome in ("no_survivor", "no_merged"):
        raise not_found(f"contact {contact_id if done.outcome == 'no_survivor' else body.from_}")
    if done.outcome == "erased":
        raise ProblemError(409, "merge-refused", f"The contact {body.from_} was erased, so there is nothing to merge.")
    if done.outcome == "taken":
        detail = f"{body.from_} was merged into {done.merged}. If that is the same person too, merge {done.merged}."
        raise ProblemError(409, "merge-refused", detail, extensions={"merged_into": done.merged})
    if done.outcome == "too_large":
        detail = f"{body.from_} has more than {merge.MOST_EVENTS:,} events. Merge the smaller contact into this one."
        raise ProblemError(409, "merge-refused", detail)
    merged = done.outcome == "merged"
    return MergeResult(
        contact_id=done.survivor,
        merged_id=body.from_,
        merged=merged,
        merge_id=done.merge_id or None,
        undoable_until=now + merge_records.UNDO_WITHIN if merged else None,
        moved=dict(done.moved),
        filled=list(done.filled),
        runs_ended=list(done.runs_ended),
    )


@router.post("/{contact_id}/unmerge", summary="Undo a merge", responses=documented(400, 404, 409, 413, 415))
async def post_unmerge(contact_id: ContactId, body: MergeRequest, request: Request, ctx: Ctx) -> UnmergeResult:
    """Gives the merged contact back what was moved. What came since stays with the survivor.

    Possible for thirty days, and only for the newest merge into the contact. A run that the merge ended stays ended.
    """
    async with ctx.db.transaction() as tx:
        done = await unmerge.unmerge(
            tx, contact_id, body.from_, by=request.state.key_name, pace=ctx.settings.pace_at_entry
        )
    if done.outcome == "not_merged":
        raise not_found(f"merge of {body.from_} into {contact_id}")
    if done.outcome == "later_first":
        detail = f"{done.blocking} was merged later. Undo that merge first."
        raise ProblemError(409, "merge-refused", detail, extensions={"undo_first": done.blocking})
    if done.outcome == "too_late":
        detail = f"A merge can be undone for {merge_records.UNDO_WITHIN.days} days. That time is over."
        raise ProblemError(409, "merge-refused", detail)
    return UnmergeResult(contact_id=done.survivor, merged_id=done.merged, moved=dict(done.moved))


@router.get("/{contact_id}/merges", summary="List a contact's merges", responses=documented(404))
async def list_merges(
    contact_id: ContactId, ctx: Ctx, limit: Annotated[int, Query(ge=1, le=200, description="At most.")] = 50
) -> MergeList:
    """Who merged which id into the contact and when, also what came with merged ids, and what was undone."""
    now = datetime.now(UTC)
    async with ctx.db.transaction() as tx:
        person = await contacts.get(tx, contact_id)
        if person is None:
            raise not_found(f"contact {contact_id}")
        found = await merge_records.of_contact(tx, contact_id, limit=limit)
    return MergeList(contact_id=person.id, merges=[_shown(one, now) for one in found])


def _shown(one: Merge, now: datetime) -> MergeRecord:
    return MergeRecord(
        id=one.id,
        contact_id=one.contact_id,
        merged_id=one.merged_id,
        merged_by=one.merged_by,
        merged_at=one.merged_at,
        undoable_until=one.undoable_until(now),
        undone_by=one.undone_by,
        undone_at=one.undone_at,
        moved=dict(one.changes.get("moved", {})),
    )
