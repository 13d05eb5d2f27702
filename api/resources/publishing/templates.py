"""Message templates: published by name, and read when a message is sent."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from api.http.auth import KeyedRoute
from api.http.bodies.reading import is_json, media_type
from api.http.context import Ctx
from api.http.fields import SLUG
from api.http.pagination import CursorText, Limit
from api.http.problems import ProblemError, documented, not_found, not_published
from api.resources.publishing.document_errors import RefusedError
from api.resources.publishing.publishing import Publishing
from api.resources.publishing.template_files import files_of, read_template
from api.resources.publishing.versions import Versions, list_versions
from store.published import templates
from tracks.content.templates.template import Template, TemplateVariable

router = APIRouter(prefix="/v1/templates", tags=["templates"], route_class=KeyedRoute, responses=documented(401, 422))

TemplateName = Annotated[str, Path(pattern=SLUG, description="The template's name.", examples=["trial-welcome"])]
_TEXT = {"text/plain", "text/markdown", "text/x-liquid", "text/mjml", "application/mjml"}
_EXAMPLE = """---
kind: email
subject: 'Welcome, {{ contact.attributes.first_name | default: "friend" }}'
variables:
  cta: {default: Start now}
---
<mjml><mj-body><mj-section><mj-column>
  <mj-text>Good to have you.</mj-text>
  <mj-button href="https://acme.test/start">{{ cta }}</mj-button>
  <mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text>
</mj-column></mj-section></mj-body></mjml>
"""


class PublishedTemplate(BaseModel):
    """A template's version after the call."""

    template: str
    version: int
    created: bool = Field(description="False if the newest version was already the same.")


class TemplateSummary(BaseModel):
    """A template and its newest version."""

    template: str
    version: int
    kind: Literal["email", "sms", "block"]
    published_at: datetime


class TemplateDetail(TemplateSummary):
    """One version, with its source as it was published."""

    source: str
    locales: dict[str, str] = Field(description="The variants' sources by locale.")
    variables: dict[str, TemplateVariable]
    blocks: dict[str, list[str]] = Field(description="The names of each block's choices, in order.")


class TemplatePage(BaseModel):
    """Templates by name."""

    templates: list[TemplateSummary]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


@router.put(
    "/{template}",
    summary="Publish a template",
    responses={
        201: {"model": PublishedTemplate, "description": "A new version"},
        **documented(400, 413, 415),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "As text: the file with its front matter. As JSON: the file (`source`) with those of its "
            "variants (`locales`), or the template as data with its `body`.",
            "content": {
                "text/plain": {"schema": {"type": "string", "minLength": 1}, "example": _EXAMPLE},
                "application/json": {
                    "schema": {
                        "oneOf": [
                            {
                                "type": "object",
                                "required": ["source"],
                                "additionalProperties": False,
                                "properties": {
                                    "source": {"type": "string", "minLength": 1, "description": "The file."},
                                    "locales": {
                                        "type": "object",
                                        "maxProperties": 100,
                                        "additionalProperties": {"type": "string"},
                                        "description": "The variants' files by locale.",
                                    },
                                },
                            },
                            {
                                "type": "object",
                                "not": {"required": ["source"]},
                                "required": ["kind", "body"],
                                "properties": {
                                    "kind": {"enum": ["email", "sms", "block"]},
                                    "subject": {"type": "string"},
                                    "preheader": {"type": "string"},
                                    "variables": {"type": "object"},
                                    "blocks": {"type": "object"},
                                    "body": {
                                        "type": "string",
                                        "minLength": 1,
                                        "description": "MJML or plain text, with Liquid.",
                                    },
                                },
                            },
                        ]
                    }
                },
            },
        }
    },
)
async def put_template(template: TemplateName, request: Request, response: Response, ctx: Ctx) -> PublishedTemplate:
    """Checks the template in each language (syntax, variables, rendering) and makes it the newest version.

    Its shared blocks are copied into it. It is refused if a track in use (its newest version, or a version with live
    runs) could not send it.

    Live runs use it from the next send on, unless their step pins a version. Publishing the same template again changes
    nothing.
    """
    kind = media_type(request)
    if not is_json(kind) and kind not in _TEXT:
        raise ProblemError(415, "unsupported-media-type", "Send the template as text/plain or application/json.")
    document = await asyncio.to_thread(read_template, template, kind, await request.body())
    try:
        async with ctx.db.transaction() as tx:
            (published,) = await Publishing(tx).publish(templates=[document])
    except RefusedError as error:
        raise not_published(f"template {template}", error.errors) from None
    response.status_code = 201 if published.created else 200
    return PublishedTemplate(template=template, version=published.version, created=published.created)


@router.get("", summary="List templates")
async def list_templates(ctx: Ctx, limit: Limit = 50, cursor: CursorText = None) -> TemplatePage:
    """The newest version of each template, by name."""
    position = ctx.cursors.read(["templates"], cursor)
    async with ctx.db.transaction() as tx:
        found = await templates.list_all(tx, after=str(position[0]) if position else "", limit=limit + 1)
    shown, following = ctx.cursors.cut(["templates"], found, limit, lambda one: [one.name])
    return TemplatePage(
        templates=[
            TemplateSummary(template=one.name, version=one.version, kind=one.kind, published_at=one.published_at)
            for one in shown
        ],
        next=following,
    )


@router.get("/{template}", summary="Read a template", responses=documented(404))
async def get_template(
    template: TemplateName,
    ctx: Ctx,
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Absent: the newest.")] = None,
) -> TemplateDetail:
    """One version with its source."""
    async with ctx.db.transaction() as tx:
        found = await templates.get(tx, template, version)
    if found is None:
        raise not_found(f"template {template}" + (f" with version {version}" if version else ""))
    files, read = files_of(found.source), Template.model_validate(found.data)
    return TemplateDetail(
        template=found.name,
        version=found.version,
        kind=found.kind,
        published_at=found.published_at,
        source=files.source,
        locales=files.locales,
        variables=read.variables,
        blocks={name: list(block.texts()) for name, block in read.blocks.items()},
    )


@router.get("/{template}/versions", summary="List a template's versions", responses=documented(404))
async def list_template_versions(
    template: TemplateName, ctx: Ctx, limit: Limit = 50, cursor: CursorText = None
) -> Versions:
    """Newest first."""
    return await list_versions(ctx, "template", template, templates.versions, limit, cursor)
