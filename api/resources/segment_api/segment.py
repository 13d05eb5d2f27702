"""Segment's ingest endpoint, so that Segment's own server libraries work unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from api.http.auth import OpenRoute, SegmentRoute
from api.http.bodies.reading import load_json
from api.http.context import Context, Ctx
from api.http.problems import FieldProblem, ProblemError, documented, invalid, pointer
from api.resources.events import TrackNotEntered
from api.resources.segment_api.segment_format import (
    MAX_ITEMS,
    Group,
    Identify,
    Item,
    ItemProblem,
    Sent,
    Track,
    translate,
)
from store.people import contacts
from store.runs import events

router = APIRouter(prefix="/v1", tags=["events"], route_class=SegmentRoute)
public_router = APIRouter(prefix="/v1", route_class=OpenRoute, include_in_schema=False)


class ItemNotEntered(TrackNotEntered):
    """The same for one event of the batch."""

    index: int = Field(description="Place in `batch`, from 0.")


class BatchAccepted(BaseModel):
    """The result of a batch. Items that could not be used are listed; all others are stored."""

    success: bool = True
    accepted: int = Field(description="Number of contacts changed and events stored, including duplicates.")
    duplicates: int = Field(description="Number of events that had been stored before.")
    matched: int = Field(description="Number of live enrollments that the events were sent to.")
    enrolled: int = Field(description="Number of enrollments that the events started.")
    not_enrolled: list[ItemNotEntered] = Field(
        default=[], description="Tracks whose entry rules name an event, and why no run was started."
    )
    problems: list[ItemProblem] = []


_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A batch as Segment's libraries send it; it may be gzip.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["batch"],
                    "properties": {
                        "batch": {"type": "array", "maxItems": MAX_ITEMS, "items": {"type": "object"}},
                        "sentAt": {"description": "When the batch was sent, by the same clock as the timestamps."},
                    },
                },
                "example": {
                    "batch": [
                        {"type": "identify", "userId": "user_1042", "traits": {"email": "ada@example.com"}},
                        {
                            "type": "track",
                            "userId": "user_1042",
                            "messageId": "m-1",
                            "event": "trial.started",
                            "properties": {"plan": "team"},
                        },
                    ]
                },
            }
        },
    }
}


@router.post("/batch", summary="Segment's batch", responses=documented(400, 401, 413, 415, 422), openapi_extra=_REQUEST)
@router.post("/import", include_in_schema=False)
async def post_batch(request: Request, ctx: Ctx) -> BatchAccepted:
    """`identify` creates or changes a contact; `track`, `page` and `screen` are events; `group` becomes the attribute
    `group` of the contact; `alias` is ignored.

    The API key is the user name of HTTP Basic, where Segment's libraries send their write key. An item that cannot be
    used does not affect the others. An `identify` with an invalid address is used without the address.
    """
    data = load_json(await request.body())
    batch = data.get("batch") if isinstance(data, dict) else None
    if not isinstance(batch, list):
        raise invalid([FieldProblem(detail="must be an array of messages", pointer=pointer(["batch"]))])
    if len(batch) > MAX_ITEMS:
        raise invalid([FieldProblem(detail=f"may have at most {MAX_ITEMS:,} messages", pointer=pointer(["batch"]))])
    sent = Sent(datetime.now(UTC), data.get("sentAt"))
    items = [translate(index, item, sent) for index, item in enumerate(batch)]
    async with ctx.db.transaction() as tx:
        results = await _store(tx, [item.action for item in items if item.action], ctx.settings.pace_at_entry)
    return _answer(ctx, items, results)


async def refuse_public_key() -> None:
    """The endpoints of Segment's libraries for browsers and phones, in which everybody can read the key."""
    detail = (
        "Segment's libraries for browsers and phones carry their key where everybody can read it, and a key of this "
        "API may do everything. Tell your own server, and have it tell /v1/batch."
    )
    raise ProblemError(403, "key-in-public", detail)


for _call in ("b", "m", "t", "i", "p", "s", "g", "a"):  # batch, metrics, track, identify, page, screen, group, alias
    public_router.add_api_route(f"/{_call}", refuse_public_key, methods=["POST"])


async def _store(
    tx: AsyncConnection, actions: Sequence[Identify | Group | Track], pace: float
) -> list[events.Accepted]:
    """Store the items in order, so that an event sees the contact that an earlier `identify` created or changed."""
    accepted: list[events.Accepted] = []
    at = 0
    while at < len(actions):
        end = at
        while end < len(actions) and type(actions[end]) is type(actions[at]):
            end += 1
        alike = actions[at:end]
        changes = [(one.contact_id, _changes(one)) for one in alike if isinstance(one, Identify)]
        changes += await _groups(tx, [one for one in alike if isinstance(one, Group)])
        if changes:
            await contacts.upsert_many(tx, changes, pace=pace)
        happened = [
            events.Event(one.event_id, one.contact_id, one.name, one.properties, one.occurred_at)
            for one in alike
            if isinstance(one, Track)
        ]
        if happened:
            accepted += await events.accept_many(tx, happened, pace=pace)
        at = end
    return accepted


async def _groups(tx: AsyncConnection, groups: Sequence[Group]) -> list[tuple[str, contacts.Changes]]:
    """The attribute `group`: the id and the traits of the group that was told last, merged while it is the same group.

    One attribute, because a group's traits (`name`, `plan`) have the names of a contact's, and must not replace them.
    """
    known = await contacts.hold_many(tx, sorted({one.contact_id for one in groups})) if groups else {}
    now: dict[str, dict[str, Any]] = {}
    for one in groups:
        before = now.get(one.contact_id)
        if before is None:
            kept = ((known[one.contact_id].attributes or {}) if one.contact_id in known else {}).get("group")
            before = kept if isinstance(kept, dict) else {}
        traits = (before if before.get("id") == one.group_id else {}) | one.traits
        now[one.contact_id] = {k: it for k, it in traits.items() if it is not None} | {"id": one.group_id}
    return [(contact_id, {"attributes": {"group": group}}) for contact_id, group in now.items()]


def _changes(identify: Identify) -> contacts.Changes:
    changes: contacts.Changes = {"attributes": identify.attributes}
    for name, value in identify.own.items():
        changes[name] = value  # type: ignore[literal-required]
    return changes


def _answer(ctx: Context, items: Sequence[Item], results: Sequence[events.Accepted]) -> BatchAccepted:
    for one in results:
        ctx.metrics.event("segment", one)
    happened = [index for index, item in enumerate(items) if isinstance(item.action, Track)]
    problems = []
    for index, item in enumerate(items):
        if not item.reason:
            continue
        ctx.metrics.rejected.labels("segment", item.reason).inc()
        ignored = item.action is None and not item.errors
        status = "partly accepted" if item.action else "ignored" if ignored else "rejected"
        problems.append(ItemProblem(index=index, status=status, reason=item.reason, errors=item.errors))
    return BatchAccepted(
        accepted=sum(item.action is not None for item in items),
        duplicates=sum(one.duplicate for one in results),
        matched=sum(one.matched for one in results),
        enrolled=sum(one.enrolled for one in results),
        not_enrolled=[
            ItemNotEntered(index=index, track=one.track, reason=one.reason)
            for index, result in zip(happened, results, strict=True)
            for one in result.not_enrolled
        ],
        problems=problems,
    )
