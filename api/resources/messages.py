"""Messages: what was sent to whom, from which version, and with which outcome."""

from __future__ import annotations

from dataclasses import astuple, replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from api.http.auth import KeyedRoute
from api.http.context import Context, Ctx
from api.http.fields import SLUG, Identifier, WrittenMoment
from api.http.pagination import CursorText, Limit
from api.http.problems import FieldProblem, documented, invalid, not_found
from store.published import tracks
from store.runs.enrollments import enrollments
from store.schema import merged_ids
from store.schema.rows import Channel
from store.sending.messages import message_content, message_lists, messages
from store.sending.messages.message_content import MessageContent
from store.sending.messages.message_lists import Wanted
from store.sending.messages.messages import Message, MessageStatus, Progress
from tracks.model.steps.effects import Email, Sms
from tracks.model.steps.steps import MessageStep
from tracks.model.track import Track

router = APIRouter(prefix="/v1/messages", tags=["messages"], route_class=KeyedRoute)

MessageId = Annotated[
    str, Path(max_length=64, description="The message's id.", examples=["0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90"])
]
Since = Annotated[
    WrittenMoment | None, Query(description="First attempted at this time or later.", examples=["2026-11-21T12:00:00Z"])
]
Until = Annotated[
    WrittenMoment | None, Query(description="First attempted before this time.", examples=["2026-11-22T12:00:00Z"])
]


class MessageSummary(BaseModel):
    """One message, without its text or address."""

    id: str
    enrollment_id: str
    contact_id: str
    track: str
    step: str
    channel: Channel
    status: MessageStatus = Field(description="Whether the message was handed to the provider.")
    reason: str
    delivery: Progress | None = Field(description="What the provider reported afterwards.")
    delivery_reason: str
    delivery_at: datetime | None
    claimed_at: datetime
    settled_at: datetime | None
    topic: str
    recipient: str = Field(
        description="Where the address was found, if it goes to somebody else: `attribute owner_email`; empty: to the "
        "contact."
    )
    template: str | None = Field(description="Null if the step holds the text itself, or nothing was rendered yet.")
    template_version: int | None
    locale: str | None = Field(description="The language variant, if the template has a language.")


class Rendering(BaseModel):
    """A message as it was handed to its provider."""

    subject: str | None = None
    html: str | None = None
    text: str


class MessageDetail(MessageSummary):
    """A message with its template, variables and content."""

    track_version: int | None = Field(description="The version that the enrollment is pinned to.")
    variables: dict[str, Any] = Field(description="As the track's step defines them.")
    blocks: dict[str, str] = Field(description="The chosen variant of each block in the template.")
    subject_digest: str | None = Field(description="SHA-256 of the subject in hex. Equal subjects have equal digests.")
    attempts: int
    provider_id: str | None = Field(description="The provider's id of the message.")
    rendering: Rendering | None = Field(
        description="Kept for the time in the policy's `keep_sent`, and erased with the contact."
    )
    rendering_kept_until: datetime | None


class MessagePage(BaseModel):
    """Messages, newest first."""

    messages: list[MessageSummary]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


def summary(found: Message, content: MessageContent | None) -> dict[str, Any]:
    """The fields of `MessageSummary`."""
    shown = {name: getattr(found, name) for name in MessageSummary.model_fields if hasattr(found, name)}
    written = content if content is not None and content.template else None
    return {
        **shown,
        "template": written.template if written else None,
        "template_version": written.template_version if written else None,
        "locale": content.locale if content else None,
    }


async def page_of(ctx: Context, wanted: Wanted, limit: int, cursor: str | None) -> MessagePage:
    """One page of the matching messages."""
    listing = ["messages", *(None if value is None else str(value) for value in astuple(wanted))]
    position = ctx.cursors.read(listing, cursor)
    async with ctx.db.transaction() as tx:
        if wanted.contact_id is not None:
            wanted = replace(wanted, contact_id=await merged_ids.current(tx, wanted.contact_id))
        found = await message_lists.page(tx, wanted, before=str(position[0]) if position else None, limit=limit + 1)
    shown, following = ctx.cursors.cut(listing, found, limit, lambda one: [one.message.id])
    return MessagePage(
        messages=[MessageSummary(**summary(one.message, one.content)) for one in shown],
        next=following,
    )


@router.get("", summary="List messages", responses=documented(401, 422))
async def list_messages(
    ctx: Ctx,
    contact_id: Annotated[Identifier | None, Query()] = None,
    track: Annotated[str | None, Query(pattern=SLUG)] = None,
    step: Annotated[str | None, Query(max_length=100)] = None,
    channel: Annotated[Channel | None, Query()] = None,
    status: Annotated[MessageStatus | None, Query()] = None,
    delivery: Annotated[
        Progress | None,
        Query(description="The provider's last report. Needs `since`, except `bounced`, `complained` and `failed`."),
    ] = None,
    template: Annotated[str | None, Query(pattern=SLUG)] = None,
    template_version: Annotated[int | None, Query(ge=1, le=2_147_483_647, description="Needs `template`.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> MessagePage:
    """Newest first. `template` with `template_version` finds everybody who got a certain version of a template."""
    if template_version is not None and template is None:
        raise invalid([FieldProblem(detail="A version needs its template.", parameter="template_version")])
    if delivery in message_lists.UNLISTED and since is None and contact_id is None and template is None:
        detail = f"Messages are not listed by `{delivery}`; say since when to look."
        raise invalid([FieldProblem(detail=detail, parameter="since")])
    wanted = Wanted(
        contact_id, track, step, channel, status, delivery, template, template_version, since=since, until=until
    )
    return await page_of(ctx, wanted, limit, cursor)


@router.get("/{message_id}", summary="Read a message", responses=documented(401, 404, 422))
async def get_message(message_id: MessageId, ctx: Ctx) -> MessageDetail:
    """What was sent, from which version, and the outcome. It has the text itself if the policy keeps it."""
    async with ctx.db.transaction() as tx:
        found = await messages.get(tx, message_id)
        if found is None:
            raise not_found(f"message {message_id}")
        content = await message_content.get(tx, message_id) or MessageContent()
        run = await enrollments.get(tx, found.enrollment_id)
        pinned = await tracks.pinned(tx, run.track, run.version) if run else None
    return MessageDetail(
        **summary(found, content),
        track_version=pinned.version if pinned else None,
        variables=_variables(pinned.track, found) if pinned else {},
        blocks=dict(content.blocks),
        subject_digest=content.subject_digest,
        attempts=found.attempts,
        provider_id=found.provider_id,
        rendering=None if content.rendering is None else Rendering.model_validate(content.rendering),
        rendering_kept_until=content.kept_until,
    )


def _variables(track: Track, found: Message) -> dict[str, Any]:
    """The variables that the message's step passes to its template. A step may have one message for each channel."""
    kind = Email if found.channel == "email" else Sms
    steps = [step for step in track.walk() if step.id == found.step and isinstance(step, MessageStep)]
    written = [message for step in steps for message in step.messages if isinstance(message, kind)]
    return dict(written[0].variables) if written else {}
