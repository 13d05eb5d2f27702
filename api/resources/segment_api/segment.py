"""Segment's ingest endpoint, so that Segment's own server libraries work unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
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
    Alias,
    Group,
    Identify,
    Item,
    ItemProblem,
    Track,
    translate,
)
from api.resources.segment_api.timestamps import Sent
from store.people import contacts
from store.people.merging import merge, merge_records
from store.runs.events import events

router = APIRouter(prefix="/v1", tags=["events"], route_class=SegmentRoute)
public_router = APIRouter(prefix="/v1", route_class=OpenRoute, include_in_schema=False)


class ItemNotEntered(TrackNotEntered):
    """The same for one event of the batch."""

    index: int = Field(description="Place in `batch`, from 0.")


class ItemMerged(BaseModel):
    """An item that names an id which was merged: it was taken as the surviving contact's."""

    index: int = Field(description="Place in `batch`, from 0.")
    merged_into: str = Field(description="The surviving contact.")


class BatchAccepted(BaseModel):
    """The result of a batch. Items that could not be used are listed; all others are stored."""

    success: bool = True
    accepted: int = Field(description="Number of contacts changed or merged and events stored, including duplicates.")
    duplicates: int = Field(description="Number of events that had been stored before.")
    matched: int = Field(description="Number of live enrollments that the events were sent to.")
    enrolled: int = Field(description="Number of enrollments that the events started.")
    not_enrolled: list[ItemNotEntered] = Field(
        default=[], description="Tracks whose entry rules name an event, and why no run was started."
    )
    merged: list[ItemMerged] = Field(
        default=[],
        exclude_if=lambda value: not value,
        description="Items whose id was merged into another contact; left out if there are none.",
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
    `group` of the contact; `alias` merges two contacts.

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
        stored = await _store(tx, items, ctx.settings.pace_at_entry, request.state.key_name)
    return _answer(ctx, items, stored)


async def refuse_public_key() -> None:
    """The endpoints of Segment's libraries for browsers and phones, in which everybody can read the key."""
    detail = (
        "Segment's libraries for browsers and phones carry their key where everybody can read it, and a key of this "
        "API may do everything. Tell your own server, and have it tell /v1/batch."
    )
    raise ProblemError(403, "key-in-public", detail)


for _call in ("b", "m", "t", "i", "p", "s", "g", "a"):  # batch, metrics, track, identify, page, screen, group, alias
    public_router.add_api_route(f"/{_call}", refuse_public_key, methods=["POST"])


@dataclass(slots=True)
class _Stored:
    """What came of the items: of each event, in order; which items name a merged id; which merges were refused."""

    events: list[events.Accepted] = field(default_factory=list)
    merged: dict[int, str] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)


async def _store(tx: AsyncConnection, items: Sequence[Item], pace: float, key_name: str) -> _Stored:
    """Store the items in order, so that an event sees the contact that an earlier `identify` created or changed."""
    stored = _Stored()
    actions = [(index, item.action) for index, item in enumerate(items) if item.action]
    if any(isinstance(action, Alias) for _, action in actions):
        await merge_records.one_at_a_time(tx)
    for kind, group in groupby(actions, key=lambda one: type(one[1])):
        alike = list(group)
        if kind is Alias:
            for index, one in alike:
                if isinstance(one, Alias):
                    await _merge(tx, index, one, stored, pace, key_name)
        elif kind is Identify:
            changes = [(one.contact_id, _changes(one)) for _, one in alike if isinstance(one, Identify)]
            found = await contacts.upsert_many(tx, changes, pace=pace)
            named = zip(alike, found, strict=True)
            stored.merged |= {i: now.contact.id for (i, one), now in named if now.contact.id != one.contact_id}
        elif kind is Group:
            joined = await _groups(tx, [one for _, one in alike if isinstance(one, Group)])
            found = await contacts.upsert_many(tx, joined, pace=pace)
            survivors = {given: now.contact.id for (given, _), now in zip(joined, found, strict=True)}
            stored.merged |= {i: known for i, one in alike if (known := survivors[one.contact_id]) != one.contact_id}
        else:
            happened = [
                events.Event(one.event_id, one.contact_id, one.name, one.properties, one.occurred_at)
                for _, one in alike
                if isinstance(one, Track)
            ]
            accepted = await events.accept_many(tx, happened, pace=pace)
            stored.events += accepted
            stored.merged |= {
                i: now.merged_into for (i, _), now in zip(alike, accepted, strict=True) if now.merged_into
            }
    return stored


async def _merge(tx: AsyncConnection, index: int, one: Alias, stored: _Stored, pace: float, key_name: str) -> None:
    done = await merge.merge(tx, one.contact_id, one.previous_id, by=key_name, reserve=True, pace=pace)
    if done.outcome in ("merged", "one_already"):
        stored.merged[index] = done.survivor
    else:
        words = {"no_survivor": "erased", "no_merged": "erased", "too_large": "too-many-events"}
        stored.refused[index] = words.get(done.outcome, done.outcome)


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


def _answer(ctx: Context, items: Sequence[Item], stored: _Stored) -> BatchAccepted:
    for one in stored.events:
        ctx.metrics.event("segment", one)
    happened = [index for index, item in enumerate(items) if isinstance(item.action, Track)]
    problems = []
    for index, item in enumerate(items):
        reason = stored.refused.get(index, item.reason)
        if not reason:
            continue
        ctx.metrics.rejected.labels("segment", reason).inc()
        ignored = (item.action is None and not item.errors) or index in stored.refused
        status = "ignored" if ignored else "partly accepted" if item.action else "rejected"
        problems.append(ItemProblem(index=index, status=status, reason=reason, errors=item.errors))
    return BatchAccepted(
        accepted=sum(item.action is not None for item in items) - len(stored.refused),
        duplicates=sum(one.duplicate for one in stored.events),
        matched=sum(one.matched for one in stored.events),
        enrolled=sum(one.enrolled for one in stored.events),
        not_enrolled=[
            ItemNotEntered(index=index, track=one.track, reason=one.reason)
            for index, result in zip(happened, stored.events, strict=True)
            for one in result.not_enrolled
        ],
        merged=[ItemMerged(index=index, merged_into=into) for index, into in sorted(stored.merged.items())],
        problems=problems,
    )
