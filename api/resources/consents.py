"""Contacts' consents with their proof, and the pauses that contacts asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, ValidationError, WithJsonSchema

from api.http.auth import KeyedRoute
from api.http.context import Ctx
from api.http.fields import SLUG, Body, Moment, WrittenMoment
from api.http.pagination import CursorText, Limit
from api.http.problems import FieldProblem, documented, field_problems, invalid, not_found, pointer
from api.resources.contacts import ContactId
from store.people import contacts
from store.people.consents import consents, preferences
from store.published import policies
from store.schema.rows import Channel
from tracks.policy.workspace_policy import Policy
from tracks.shared.problems import meant

MAX_CHANGES = 200
_LONGEST_PAUSE = timedelta(days=366)

router = APIRouter(prefix="/v1/contacts", tags=["contacts"], route_class=KeyedRoute, responses=documented(401, 422))


class ConsentChange(Body):
    """A statement by the contact. The valid consents follow from all statements, ordered by `at`."""

    channel: Channel
    topic: Annotated[str, WithJsonSchema({"type": "string", "pattern": f"^$|{SLUG}", "maxLength": 63})] = Field(
        "", max_length=63, description="A topic of the policy; empty means the whole channel."
    )
    status: Literal["granted", "confirmed", "withdrawn"] = Field(
        description="If the topic needs double opt-in, `granted` waits for a confirmation; `confirmed` needs none."
    )
    source: str = Field(
        min_length=1,
        max_length=200,
        description="Where the contact said it. It becomes part of the proof: no personal data.",
        examples=["signup form"],
    )
    text_version: str = Field("", max_length=200, description="The words that the contact was shown.", examples=["v3"])
    at: Moment | None = Field(
        None, description="When the contact said it; absent: now. Repeated with the same time, it counts once."
    )


class ConsentChanges(Body):
    """Statements by the contact, in any order."""

    consents: Annotated[
        list[Any],
        Field(min_length=1, max_length=MAX_CHANGES),
        WithJsonSchema(
            {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_CHANGES,
                "items": {k: v for k, v in ConsentChange.model_json_schema().items() if k != "title"},
            }
        ),
    ]


class Consent(BaseModel):
    """The consent that holds now for a topic of a channel."""

    channel: Channel
    topic: str = Field(description="Empty means the whole channel.")
    status: consents.Status
    source: str
    text_version: str
    at: datetime
    confirmed_at: datetime | None = Field(description="Since when it is confirmed (double opt-in).")


class ConsentProof(BaseModel):
    """One statement as it was stored."""

    channel: Channel
    topic: str
    status: consents.Said
    source: str
    text_version: str
    at: datetime


class ConsentsNow(BaseModel):
    """The consents that hold now. Without any statement the policy decides."""

    contact_id: str
    consents: list[Consent]


class ConsentsRead(ConsentsNow):
    """The consents that hold now, and all statements."""

    history: list[ConsentProof] = Field(description="The last to arrive first.")
    next: str | None = Field(description="Cursor of the next page of the history; null on the last.")


def _pause_end(value: datetime) -> datetime:
    if value - datetime.now(UTC) > _LONGEST_PAUSE:
        raise ValueError(f"must lie within {_LONGEST_PAUSE.days} days")
    return value.astimezone(UTC)


class Pause(Body):
    """Until when the contact gets no promotional messages."""

    until: Annotated[WrittenMoment, AfterValidator(_pause_end)] | None = Field(
        description="At most 366 days ahead; null, or a time that has passed, ends the pause."
    )


class Paused(BaseModel):
    """The pause as it is now."""

    contact_id: str
    paused_until: datetime | None


_change = TypeAdapter(ConsentChange)


@router.put("/{contact_id}/consents", summary="Tell consents", responses=documented(400, 404, 413, 415))
async def put_consents(contact_id: ContactId, body: ConsentChanges, ctx: Ctx) -> ConsentsNow:
    """Stores the contact's statements, each with its proof. Returns all consents that hold now.

    For each topic the latest statement by `at` counts: a grant that arrives late does not cancel a newer withdrawal.
    Changes hold at once, also for messages that already wait. Tracks receive `contact.unsubscribed` and
    `contact.consented`. Withdrawing a whole channel suppresses the address, and a newer grant of the whole channel ends
    the suppression.
    """
    async with ctx.db.transaction() as tx:
        changes = _read(body.consents, (await policies.current(tx)).policy)
        told = await preferences.tell(tx, contact_id, changes, pace=ctx.settings.pace_at_entry)
        held = await consents.current(tx, told.contact.id) if told else []
    if told is None:
        raise not_found(f"contact {contact_id}; PUT it first")
    for accepted in told.accepted:
        ctx.metrics.event("consents", accepted)
    return ConsentsNow(contact_id=told.contact.id, consents=[_shown(consent) for consent in held])


@router.get("/{contact_id}/consents", summary="Read consents with their proof", responses=documented(404))
async def get_consents(contact_id: ContactId, ctx: Ctx, limit: Limit = 50, cursor: CursorText = None) -> ConsentsRead:
    """The consents that hold now, and all statements in pages."""
    position = ctx.cursors.read(["consents", contact_id], cursor)
    before = int(position[0]) if position else None
    async with ctx.db.transaction() as tx:
        person = await contacts.get(tx, contact_id)
        if person is None:
            raise not_found(f"contact {contact_id}")
        held = await consents.current(tx, person.id)
        found = await consents.history(tx, person.id, before=before, limit=limit + 1)
    more = len(found) > limit
    return ConsentsRead(
        contact_id=person.id,
        consents=[_shown(consent) for consent in held],
        history=[
            ConsentProof(
                channel=proof.channel,
                topic=proof.topic,
                status=proof.status,
                source=proof.source,
                text_version=proof.text_version,
                at=proof.at,
            )
            for proof in found[:limit]
        ],
        next=ctx.cursors.make(["consents", contact_id], [found[limit - 1].id]) if more else None,
    )


@router.post("/{contact_id}/pause", summary="Pause a contact", responses=documented(400, 404, 413, 415))
async def post_pause(contact_id: ContactId, body: Pause, ctx: Ctx) -> Paused:
    """Holds promotional messages back until then, on every channel. Transactional messages go out."""
    until = body.until if body.until and body.until > datetime.now(UTC) else None
    async with ctx.db.transaction() as tx:
        paused = await contacts.pause(tx, contact_id, until)
    if paused is None:
        raise not_found(f"contact {contact_id}")
    return Paused(contact_id=paused, paused_until=until)


def _read(items: list[Any], policy: Policy) -> list[consents.Change]:
    """Parse the changes. Raises a 422 that names all errors."""
    changes: list[consents.Change] = []
    errors: list[FieldProblem] = []
    for index, item in enumerate(items):
        topic = item.get("topic") if isinstance(item, dict) else None
        if isinstance(topic, str) and topic and topic not in policy.topics:
            detail = f"There is no topic '{topic[:63]}' in the policy{meant(topic[:63], list(policy.topics))}."
            errors.append(FieldProblem(detail=detail, pointer=pointer(["consents", index, "topic"])))
        try:
            read = _change.validate_python(item)
        except ValidationError as error:
            found = [{**one, "loc": ("body", "consents", index, *one["loc"])} for one in error.errors()]
            errors += field_problems(found)
            continue
        changes.append(consents.Change(read.channel, read.topic, read.status, read.source, read.text_version, read.at))
    if errors:
        raise invalid(errors)
    return changes


def _shown(consent: consents.Consent) -> Consent:
    return Consent(
        channel=consent.channel,
        topic=consent.topic,
        status=consent.status,
        source=consent.source,
        text_version=consent.text_version,
        at=consent.at,
        confirmed_at=consent.confirmed_at,
    )
