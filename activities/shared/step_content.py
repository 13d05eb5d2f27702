"""The content of messages: the step as written, its template, and the data that the template may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from store.published import templates, tracks
from store.runs.enrollments import enrollments
from store.schema.rows import Channel, Contact, Enrollment, Pinned
from tracks.content.brand import NO_BRAND, Brand
from tracks.content.rendering.liquid_rendering import render_values
from tracks.content.rendering.message_context import MessageContext
from tracks.content.rendering.template_error import TemplateError
from tracks.content.templates.blocks import reads_steps
from tracks.content.templates.template_model import Template
from tracks.model.message_rules import MessageRules
from tracks.model.steps.effects import Email, Sms
from tracks.model.steps.simple_steps import Base
from tracks.model.track import Track, find_step
from tracks.shared.link_tokens import click_url, confirm_url, handoff_url, open_url, unsubscribe_url

StepType = TypeVar("StepType", bound=Base)

_KEPT = 500
_parsed: dict[str, Template] = {}


@dataclass(frozen=True)
class Links:
    """Creates the addresses of links in messages; `secret` signs them."""

    public_url: str
    secret: str

    def unsubscribe(self, message_id: str) -> str:
        """The unsubscribe address of a message."""
        return unsubscribe_url(self.public_url, self.secret, message_id)

    def in_texts(self, message_id: str) -> dict[str, str]:
        """The links that every text may show, by name; unsubscribe and preferences are the same page."""
        way_out = self.unsubscribe(message_id)
        return {
            "unsubscribe_url": way_out,
            "preferences_url": way_out,
            "confirm_url": confirm_url(self.public_url, self.secret, message_id),
        }

    def handoff(self, handoff_id: str) -> str:
        """The address where the salesperson answers a handoff."""
        return handoff_url(self.public_url, self.secret, handoff_id)

    def click(self, message_id: str, number: int) -> str:
        """The tracked address of the message's link of that number."""
        return click_url(self.public_url, self.secret, message_id, number)

    def open(self, message_id: str) -> str:
        """The address of the picture that records an open of the message."""
        return open_url(self.public_url, self.secret, message_id)

    def ours(self, url: str) -> bool:
        """Whether an address leads to Perennial itself; such a link (unsubscribe, for example) is never tracked."""
        return url.startswith(self.public_url.rstrip("/") + "/")


@dataclass(frozen=True, slots=True)
class Draft:
    """The message to render, and its recipient."""

    message_id: str
    enrollment: Enrollment
    contact: Contact
    newest: int | None = None
    """The newest version of its template, if known."""
    first: bool = False
    """Whether it is rendered for the first time, so that none of its links is stored yet."""
    due: datetime | None = None
    """See `StepCall.due`."""
    event: Mapping[str, Any] = field(default_factory=dict)
    """See `activities.shared.matched_event`."""
    address: str = ""
    """Where it goes: the contact's address, or somebody else's."""


async def find_in(tx: AsyncConnection, pinned: Pinned, step: str, kind: type[StepType]) -> tuple[Track, StepType]:
    """The track version that an enrollment is pinned to, and the step in it.

    Raises LookupError if there is no such step, TypeError if it is of another kind.
    """
    version = await tracks.pinned(tx, pinned.track, pinned.version)
    found = find_step(version.track, step)
    if not isinstance(found, kind):
        raise TypeError(f"step {step} is no {kind.__name__}")
    return version.track, found


class Found(NamedTuple):
    """A version of a template."""

    name: str
    version: int
    template: Template


async def find_template(tx: AsyncConnection, name: str, version: int | None, channel: Channel) -> Found:
    """A template in this version, or in the newest one if no number is given.

    Raises TemplateError if there is none with that name, version and kind.
    """
    stored = await templates.get(tx, name, version)
    if stored is None:
        raise TemplateError("NotFound")
    if stored.kind != channel:
        raise TemplateError("WrongKind")
    template = _parsed.get(stored.digest)
    if template is None:
        if len(_parsed) >= _KEPT:
            _parsed.clear()
        template = _parsed[stored.digest] = Template.model_validate(stored.data)
    return Found(stored.name, stored.version, template)


def with_template(rules: MessageRules, message: Email | Sms) -> MessageRules:
    """The rules with the template whose newest version the message uses (if any), so that the claim reads it."""
    return replace(rules, template=message.template or "") if message.version is None else rules


def message_context(
    enrollment: Enrollment,
    contact: Contact,
    variables: Mapping[str, Any] | None = None,
    links: Mapping[str, str] = MappingProxyType({}),
    zone: str = "UTC",
    due: datetime | None = None,
    brand: Brand = NO_BRAND,
    event: Mapping[str, Any] = MappingProxyType({}),
) -> MessageContext:
    """The data that the texts of a step may use; texts among the variables are Liquid too. `zone` is the track's.

    `due` is the moment to use as the current time, in real time; None: the actual time.

    Raises TemplateError if a variable does not render.
    """
    context = MessageContext(
        contact={
            "id": contact.id,
            "email": contact.email,
            "phone": contact.phone,
            "timezone": contact.timezone,
            "segments": list(contact.segments),
            "scores": contact.scores_at(),
            "locale": contact.locale,
            "attributes": contact.attributes or {},
        },
        enrollment={
            "id": enrollment.id,
            "track": enrollment.track,
            "version": enrollment.version,
            "entry": enrollment.entry,
            "properties": enrollment.properties,
        },
        unsubscribe_url=links.get("unsubscribe_url", ""),
        preferences_url=links.get("preferences_url", ""),
        confirm_url=links.get("confirm_url", ""),
        now=enrollment.clock.at(due or datetime.now(UTC)),
        zone=zone,
        brand=brand,
        event=event,
    )
    return replace(context, variables=render_values(dict(variables), context)) if variables else context


async def with_steps(tx: AsyncConnection, template: Template, context: MessageContext) -> MessageContext:
    """The context with the outcomes of the run's steps, which are read only if a block of the template uses them.

    The claim has stored the run's path up to this message in the same transaction.
    """
    if not reads_steps(template.blocks):
        return context
    return replace(context, steps=await enrollments.outcomes(tx, str(context.enrollment["id"])))
