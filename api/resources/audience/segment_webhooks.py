"""The webhooks of segments: where the changes of a segment are sent on to, and how each is doing."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response
from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema
from sqlalchemy.ext.asyncio import AsyncConnection

from api.http.auth import KeyedRoute
from api.http.context import Ctx
from api.http.fields import SLUG, Body
from api.http.problems import FieldProblem, documented, invalid, not_found, pointer
from api.resources.publishing.segments import SegmentName
from store.audience.webhooks import destinations
from store.audience.webhooks.destinations import Destination
from store.published import segments
from tracks.time.durations import format_duration, parse_duration

router = APIRouter(
    prefix="/v1/segments/{segment}/webhooks",
    tags=["segments"],
    route_class=KeyedRoute,
    responses=documented(401, 404, 422),
)
WebhookName = Annotated[str, Path(pattern=SLUG, description="A name of yours for the webhook.", examples=["ads"])]

MOST = 20
"""Webhooks of one segment."""
LARGEST = 1_000
"""Contacts of one call."""
_LONGEST = timedelta(hours=1)
_FIELDS = ("email", "email_sha256", "phone", "phone_sha256", "timezone", "locale")
_FIELD = rf"({'|'.join(_FIELDS)}|attributes\.[^\x00-\x1f]{{1,200}})"
_SHOWN_FIELD = rf"^({'|'.join(_FIELDS)}|attributes\.[A-Za-z0-9_]{{1,100}})$"
_URL = r"https?://[A-Za-z0-9\[][!-~]*"


def _url(written: str) -> str:
    if not re.fullmatch(_URL, written):
        raise ValueError("is no web address: write https://…")
    return written


def _wait(written: str) -> str:
    wait = parse_duration(written)
    if not timedelta(0) <= wait <= _LONGEST:
        raise ValueError(f"must lie between 0s and {format_duration(_LONGEST)}")
    return written


def _field(name: str) -> str:
    if not re.fullmatch(_FIELD, name):
        raise ValueError(f"is no field that can be sent: write {', '.join(_FIELDS)} or attributes.<name>")
    return name


class SegmentWebhookSettings(Body):
    """What is sent where, and how often."""

    url: Annotated[
        str, AfterValidator(_url), WithJsonSchema({"type": "string", "pattern": f"^{_URL}$", "maxLength": 2_000})
    ] = Field(
        max_length=2_000,
        description="Where the changes are sent; in production it begins with https://.",
        examples=["https://hooks.acme.example/audience"],
    )
    fields: list[
        Annotated[str, AfterValidator(_field), WithJsonSchema({"type": "string", "pattern": _SHOWN_FIELD})]
    ] = Field(
        default=[],
        max_length=50,
        description="What of the contact is sent beside its id: "
        f"{', '.join(f'`{name}`' for name in _FIELDS)}, or `attributes.plan` for an attribute. No more than these.",
    )
    changes: list[
        Annotated[str, AfterValidator(_field), WithJsonSchema({"type": "string", "pattern": _SHOWN_FIELD})]
    ] = Field(
        default=[],
        max_length=50,
        description="Fields whose change alone is sent too, of a contact who stays a member.",
    )
    batch: int = Field(100, ge=1, le=LARGEST, description="Contacts of one call, at most.")
    wait: Annotated[
        str, AfterValidator(_wait), WithJsonSchema({"type": "string", "pattern": "^(0s|([1-9]|[1-5][0-9])[sm]|1h)$"})
    ] = Field("5s", description="How long a change waits, at most, for others of the same call. Up to 1h.")
    paused: bool | None = Field(
        None, description="`true`: nothing is sent, and what changes waits. Absent: as it is; a new one is not paused."
    )


class SegmentWebhook(BaseModel):
    """A webhook and how it is doing."""

    webhook: str
    segment: str
    url: str
    fields: list[str]
    changes: list[str]
    batch: int
    wait: str
    state: Literal["sending", "failing", "paused"] = Field(
        description="`failing`: the last call was not accepted, and it is tried again."
    )
    paused: str | None = Field(
        description="Why it is paused: `by hand`, `gone` (it answered 410), `failing` (for a day); else null."
    )
    since: datetime | None = Field(description="Since when it is paused or failing; null while it is neither.")
    last_error: str | None = Field(description="Why the last call was not accepted; null if it was.")
    waiting: int = Field(description=f"Contacts that wait to be sent, counted up to {destinations.COUNTED:,}.")
    oldest: datetime | None = Field(description="Since when the first of them waits.")
    delivered: int = Field(description="Changes that were accepted so far.")
    delivered_at: datetime | None = Field(description="When the last call was accepted.")
    sending_all: bool = Field(description="A full send is under way.")
    created_at: datetime


class PutSegmentWebhook(SegmentWebhook):
    """The webhook after the call."""

    secret: str | None = Field(description="What its calls are signed with: shown this once, when it is made.")


class SegmentWebhooks(BaseModel):
    """All webhooks of a segment, by name."""

    webhooks: list[SegmentWebhook]


class FullSend(BaseModel):
    """A full send that begins."""

    segment: str
    webhook: str
    sending_all: Literal[True] = True


class DeletedWebhook(BaseModel):
    """A webhook that is no more."""

    segment: str
    webhook: str
    deleted: Literal[True] = True


@router.put(
    "/{webhook}",
    summary="Send a segment on to a webhook",
    responses={201: {"model": PutSegmentWebhook, "description": "A new webhook"}, **documented(400, 413, 415)},
)
async def put_webhook(
    segment: SegmentName, webhook: WebhookName, wanted: SegmentWebhookSettings, response: Response, ctx: Ctx
) -> PutSegmentWebhook:
    """Creates or changes a webhook. A new one is sent all members, and then each change.

    A paused one goes on if `paused` is false: what has changed meanwhile is sent.
    """
    if ctx.settings.environment == "production" and not wanted.url.startswith("https://"):
        raise invalid([FieldProblem(detail="must begin with https://", pointer=pointer(["url"]))])
    async with ctx.db.transaction() as tx:
        await _segment(tx, segment)
        known = await destinations.get(tx, segment, webhook)
        if known is None and await destinations.count(tx, segment) >= MOST:
            raise invalid([FieldProblem(detail=f"a segment has at most {MOST} webhooks", parameter="webhook")])
        secret = await destinations.put(
            tx,
            segment,
            webhook,
            url=wanted.url,
            fields=wanted.fields,
            changes=wanted.changes,
            batch=wanted.batch,
            wait=parse_duration(wanted.wait).total_seconds(),
            paused=(known is not None and known.paused != "") if wanted.paused is None else wanted.paused,
        )
        shown = _shown(await _webhook(tx, segment, webhook))
    response.status_code = 201 if secret else 200
    return PutSegmentWebhook(**shown.model_dump(), secret=secret)


@router.get("", summary="List a segment's webhooks")
async def list_webhooks(segment: SegmentName, ctx: Ctx) -> SegmentWebhooks:
    """Every webhook of the segment by name, and how it is doing."""
    async with ctx.db.transaction() as tx:
        await _segment(tx, segment)
        found = await destinations.list_of(tx, segment)
    return SegmentWebhooks(webhooks=[_shown(one) for one in found])


@router.get("/{webhook}", summary="Read a segment's webhook")
async def get_webhook(segment: SegmentName, webhook: WebhookName, ctx: Ctx) -> SegmentWebhook:
    """One webhook and how it is doing. Its secret is not shown."""
    async with ctx.db.transaction() as tx:
        return _shown(await _webhook(tx, segment, webhook))


@router.post("/{webhook}/send-all", summary="Send all members again")
async def send_all(segment: SegmentName, webhook: WebhookName, ctx: Ctx) -> FullSend:
    """Sends all members once more, then `segment.complete`: for a receiver that has lost what it was told."""
    async with ctx.db.transaction() as tx:
        if not await destinations.send_all(tx, segment, webhook):
            raise not_found(f"webhook {webhook} of segment {segment}")
    return FullSend(segment=segment, webhook=webhook)


@router.delete("/{webhook}", summary="Delete a segment's webhook")
async def delete_webhook(segment: SegmentName, webhook: WebhookName, ctx: Ctx) -> DeletedWebhook:
    """Sends nothing more to it, and deletes what waits. The receiver keeps what it was told."""
    async with ctx.db.transaction() as tx:
        if not await destinations.remove(tx, segment, webhook):
            raise not_found(f"webhook {webhook} of segment {segment}")
    return DeletedWebhook(segment=segment, webhook=webhook)


async def _segment(tx: AsyncConnection, name: str) -> None:
    if await segments.get(tx, name) is None:
        raise not_found(f"segment {name}")


async def _webhook(tx: AsyncConnection, segment: str, name: str) -> Destination:
    found = await destinations.get(tx, segment, name)
    if found is None:
        raise not_found(f"webhook {name} of segment {segment}")
    return found


def _shown(one: Destination) -> SegmentWebhook:
    return SegmentWebhook(
        webhook=one.name,
        segment=one.segment,
        url=one.url,
        fields=list(one.fields),
        changes=list(one.changes),
        batch=one.batch,
        wait=format_duration(timedelta(seconds=one.wait)),
        state="paused" if one.paused else "failing" if one.failing_since else "sending",
        paused=one.paused or None,
        since=one.paused_at or one.failing_since,
        last_error=one.last_error or None,
        waiting=one.waiting,
        oldest=one.oldest,
        delivered=one.delivered,
        delivered_at=one.delivered_at,
        sending_all=one.sends_all,
        created_at=one.created_at,
    )
