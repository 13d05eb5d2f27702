"""Previews: a message as one contact would get it. Nothing is sent or stored."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from api.http.auth import KeyedRoute
from api.http.context import Context, Ctx
from api.http.fields import SLUG
from api.http.problems import FieldProblem, documented, invalid, not_found
from api.resources.publishing.template_files import TemplateFiles, read_files, refused, share_blocks
from store.people import contacts
from store.published import templates, tracks
from tracks.content.checks.template_check import check_template
from tracks.content.rendering.liquid_rendering import render_values
from tracks.content.rendering.message_context import MessageContext
from tracks.content.rendering.preview import Preview, as_message, preview
from tracks.content.rendering.template_error import TemplateError
from tracks.content.templates.template import Template
from tracks.model.steps.effects import Email, Sms
from tracks.model.steps.steps import MessageStep
from tracks.model.track import find_step
from tracks.model.values import STEP_ID

router = APIRouter(
    prefix="/v1", tags=["templates"], route_class=KeyedRoute, responses=documented(400, 401, 404, 413, 415, 422)
)

Name = Annotated[str, Path(pattern=SLUG)]
StepName = Annotated[str, Path(pattern=STEP_ID)]


class PreviewContact(BaseModel, extra="forbid"):
    """A fictional contact for a preview."""

    id: str = "preview"
    email: str | None = "preview@example.com"
    phone: str | None = None
    timezone: str | None = None
    locale: str | None = None
    attributes: dict[str, Any] = {}


class PreviewEnrollment(BaseModel, extra="forbid"):
    """The run that the message would belong to."""

    track: str = "preview"
    version: int = 1
    entry: str | None = Field(default=None, description="The entry that began the run.")
    properties: dict[str, Any] = {}
    steps: dict[str, str] = Field(default={}, description="Results of earlier steps, for blocks that read them.")


class Recipient(BaseModel, extra="forbid"):
    """The contact to render the message for."""

    version: int | None = Field(default=None, ge=1, le=2**31 - 1, description="Absent: the newest.")
    contact_id: str | None = Field(default=None, description="An existing contact; or use `contact`.")
    contact: PreviewContact | None = Field(default=None, description="A fictional contact; or use `contact_id`.")
    locale: str | None = Field(default=None, description="Overrides the contact's locale.")
    enrollment: PreviewEnrollment = PreviewEnrollment()


class PreviewEvent(BaseModel, extra="forbid"):
    """A fictional event for a preview."""

    event_id: str = "preview"
    name: str = "preview"
    at: datetime | None = Field(default=None, description="When it happened; absent: now.")
    properties: dict[str, Any] = {}


class StepPreviewRequest(Recipient):
    """The contact, and which message of the step."""

    channel: Literal["email", "sms"] | None = Field(
        default=None, description="For a step that chooses the channel: which of its messages; absent: the first."
    )
    event: PreviewEvent | None = Field(
        default=None, description="What the latest wait matched, for a step whose texts read `event`."
    )


class PreviewRequest(Recipient):
    """The template, and the contact."""

    source: str | None = Field(default=None, description="An unpublished file, in place of the published template.")
    locales: dict[str, str] = Field(default={}, max_length=100, description="The variants of `source`.")
    variables: dict[str, Any] = Field(default={}, description="Variables as a step would set them.")
    subject: str | None = Field(default=None, description="Subject as a step would set it.")


class PreviewBlock(BaseModel):
    """Which variant of a block was chosen."""

    block: str
    chosen: str = Field(description="The variant's name; `else` if no condition is true.")
    passed: dict[str, str] = Field(
        description="The variants before it, and why they were not chosen: `false`; or, if the condition could not be "
        "evaluated, `missing`, `type`, `not a yes or no`, `too large`."
    )


class PreviewAnswer(BaseModel):
    """The rendered message."""

    template: str | None = Field(description="Null for a text in a step and for an unpublished file.")
    version: int | None
    kind: Literal["email", "sms"]
    locale: str | None = Field(description="The message's language; null if the template has none.")
    subject: str | None
    html: str | None = Field(description="Null for an SMS and for an email of text only.")
    text: str
    segments: int | None = Field(description="How many segments an SMS counts as.")
    encoding: str | None
    blocks: list[PreviewBlock]
    warnings: list[str]


@router.post("/templates/{template}/preview", summary="Preview a template")
async def preview_template(template: Name, body: PreviewRequest, ctx: Ctx) -> PreviewAnswer:
    """The message that a contact would get, the chosen language and blocks with reasons, and warnings."""
    if body.source is not None and body.version is not None:
        raise invalid([FieldProblem(detail="A source has no version.", pointer="#/version")])
    written, version = None, None
    if body.source is not None:
        files = TemplateFiles(source=body.source, locales=body.locales)
        written = await asyncio.to_thread(read_files, template, files)
    async with ctx.db.transaction() as tx:
        context = await _context(tx, ctx, body)
        if written is not None:
            read = await share_blocks(tx, template, written)
        else:
            read, version = await _published(tx, template, body.version)
    if written is not None and (problems := await asyncio.to_thread(check_template, read)):
        raise refused(template, problems)
    name = template if written is None else None
    return await _answer(as_message(read), context, body.variables, body.subject, name=name, version=version)


@router.post("/tracks/{track}/steps/{step}/preview", summary="Preview a step's message")
async def preview_step(track: Name, step: StepName, body: StepPreviewRequest, ctx: Ctx) -> PreviewAnswer:
    """The same for a message step of a track, with the step's subject and variables."""
    async with ctx.db.transaction() as tx:
        found = await tracks.version(tx, track, body.version)
        if found is None:
            raise not_found(f"track {track}" + (f" with version {body.version}" if body.version else ""))
        try:
            written = find_step(found.track, step)
        except KeyError:
            raise not_found(f"step {step} in {track} version {found.version}") from None
        offered = written.messages if isinstance(written, MessageStep) else ()
        message = next((one for one in offered if body.channel in (None, _channel(one))), None)
        if message is None:
            what = body.channel or "message"
            raise invalid([FieldProblem(detail=f"Step {step} sends no {what}.", parameter="step", step=step)])
        run = body.enrollment.model_copy(update={"track": found.name, "version": found.version})
        context = await _context(tx, ctx, body.model_copy(update={"enrollment": run}))
        event = body.event.model_dump() | {"at": body.event.at or datetime.now(UTC)} if body.event else {}
        context = replace(context, zone=found.track.defaults.timezone, event=event)
        subject = message.subject if isinstance(message, Email) else None
        read: Template | str
        if message.template is None:
            read, version = (message.text or "") if isinstance(message, Sms) else "", None
        else:
            read, version = await _published(tx, message.template, message.version)
    return await _answer(read, context, message.variables, subject, name=message.template, version=version)


def _channel(message: Email | Sms) -> Literal["email", "sms"]:
    return "email" if isinstance(message, Email) else "sms"


async def _published(tx: AsyncConnection, name: str, version: int | None) -> tuple[Template, int]:
    found = await templates.get(tx, name, version)
    if found is None:
        raise not_found(f"template {name}" + (f" with version {version}" if version else ""))
    return Template.model_validate(found.data), found.version


async def _context(tx: AsyncConnection, ctx: Context, body: Recipient) -> MessageContext:
    person = (body.contact or PreviewContact()).model_dump()
    if body.contact_id is not None:
        if body.contact is not None:
            raise invalid([FieldProblem(detail="Give contact_id or contact, not both.", pointer="#/contact")])
        held = await contacts.get(tx, body.contact_id)
        if held is None:
            raise not_found(f"contact {body.contact_id}")
        person = {name: getattr(held, name) for name in PreviewContact.model_fields}
        person["segments"] = list(held.segments)
        person["scores"] = held.scores_at()
    if body.locale is not None:
        person["locale"] = body.locale
    run, base = body.enrollment, ctx.settings.public_url.rstrip("/")
    return MessageContext(
        contact={**person, "attributes": person["attributes"] or {}},
        enrollment={"id": "preview", **run.model_dump(include={"track", "version", "entry", "properties"})},
        unsubscribe_url=f"{base}/u/preview",
        preferences_url=f"{base}/u/preview",
        confirm_url=f"{base}/confirm/preview",
        steps=run.steps,
        brand=ctx.brand,
    )


async def _answer(
    template: Template | str,
    context: MessageContext,
    variables: dict[str, Any],
    subject: str | None,
    *,
    name: str | None,
    version: int | None,
) -> PreviewAnswer:
    def write() -> Preview:
        given = replace(context, variables=render_values(variables, context))
        return preview(template, given, subject=subject)

    try:
        shown = await asyncio.to_thread(write)
    except TemplateError as error:
        raise invalid([FieldProblem(detail=f"For this contact the message would fail: {error.code}.")]) from None
    sms = shown.segments is not None
    return PreviewAnswer(
        template=name,
        version=version,
        kind="sms" if sms else "email",
        locale=shown.locale,
        subject=None if sms else shown.subject,
        html=shown.html or None,
        text=shown.text,
        segments=shown.segments.number if shown.segments else None,
        encoding=shown.segments.encoding if shown.segments else None,
        blocks=[PreviewBlock(block=one.block, chosen=one.choice, passed=dict(one.passed)) for one in shown.blocks],
        warnings=list(shown.warnings),
    )
