"""Suppressed addresses: they get no messages, whichever contact has them. Only their hashes are stored."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from api.http.auth import KeyedRoute
from api.http.context import Ctx
from api.http.fields import Body, check_any_email, check_phone
from api.http.pagination import CursorText, Limit
from api.http.problems import FieldProblem, documented, invalid
from store.engine.hash_secret import current_secret
from store.people.consents import reachability, suppressions
from store.schema.addresses import address_hash
from store.schema.rows import Channel
from store.schema.suppression_reasons import Reason
from tracks.contacts.contact_fields import PLUS

router = APIRouter(
    prefix="/v1/suppressions", tags=["suppressions"], route_class=KeyedRoute, responses=documented(401, 422)
)
_HASHED = (
    "SHA-256 in hex of `email:` and the address in lower case, or of `sms:` and the number as E.164. With an address "
    "secret: `k` and the HMAC of that."
)


def _by_channel(channel: Channel, pattern: str) -> dict[str, Any]:
    of_it = {"properties": {"channel": {"const": channel}}}
    return {"if": of_it, "then": {"properties": {"address": {"type": "string", "pattern": pattern}}}}


class Address(Body):
    """An address on a channel."""

    model_config = ConfigDict(json_schema_extra={"allOf": [_by_channel("email", ".@."), _by_channel("sms", PLUS)]})

    channel: Channel
    address: str = Field(description="Email address, or phone number with its country code.", examples=["a@b.test"])

    @field_validator("address")
    @classmethod
    def _fits(cls, value: str, info: ValidationInfo) -> str:
        match info.data.get("channel"):
            case "email":
                return check_any_email(value)
            case "sms":
                return check_phone(value)
            case _:
                return value  # the channel is wrong, not the address


class NewSuppression(Address):
    """An address that must not be written to."""

    reason: Reason = Field("manual", description="Why. Only `unsubscribed` still allows transactional messages.")


class Suppression(BaseModel):
    """Why and since when an address is suppressed."""

    channel: Channel
    address_hash: str = Field(description=_HASHED)
    reason: Reason
    at: datetime


class SuppressionPage(BaseModel):
    """Suppressions by channel and hash."""

    suppressions: list[Suppression]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


class Removed(BaseModel):
    """The result of removing a suppression."""

    removed: bool = Field(description="False if the address was not suppressed.")


@router.get("", summary="List suppressions, or look for an address")
async def get_suppressions(
    ctx: Ctx,
    channel: Annotated[Channel | None, Query(description="Only this channel.")] = None,
    reason: Annotated[Reason | None, Query(description="Only this reason.")] = None,
    address: Annotated[
        str | None, Query(max_length=320, description="Only this address; needs `channel`. Proxies may log it.")
    ] = None,
    hashed: Annotated[
        str | None,
        Query(
            alias="address_hash",
            pattern="^k?[0-9a-f]{64}$",
            description=f"Only the address with this hash, made with or without the secret: {_HASHED}",
        ),
    ] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> SuppressionPage:
    """Hashes and reasons only: an address can be searched for, but not read."""
    if address is not None:
        if channel is None:
            raise invalid([FieldProblem(detail="An address needs its channel.", parameter="channel")])
        hashed = address_hash(channel, address)
    elif hashed is not None and not hashed.startswith("k"):
        hashed = current_secret().keyed(hashed)
    listing = ["suppressions", channel, reason, hashed]
    position = ctx.cursors.read(listing, cursor)
    after = (str(position[0]), str(position[1])) if position else None
    async with ctx.db.transaction() as tx:
        found = await suppressions.page(
            tx, channel=channel, reason=reason, address_hash=hashed, after=after, limit=limit + 1
        )
    shown, following = ctx.cursors.cut(listing, found, limit, lambda one: [one.channel, one.address_hash])
    return SuppressionPage(
        suppressions=[_shown(one) for one in shown],
        next=following,
    )


@router.post(
    "",
    status_code=201,
    summary="Suppress an address",
    responses={
        200: {"model": Suppression, "description": "It was suppressed already, for this reason or a stricter one"},
        **documented(400, 413, 415),
    },
)
async def post_suppression(body: NewSuppression, response: Response, ctx: Ctx) -> Suppression:
    """From the answer on, nothing is sent to the address, whichever contact has it. The strictest reason stays."""
    async with ctx.db.transaction() as tx:
        concerned = await reachability.hold(tx, addresses=[(body.channel, body.address)])
        raised = await suppressions.add(tx, body.channel, body.address, body.reason)
        await reachability.tell(tx, concerned, pace=ctx.settings.pace_at_entry)
        found = await suppressions.find(tx, body.channel, body.address)
    assert found is not None
    response.status_code = 201 if raised else 200
    return _shown(found)


@router.delete("", summary="Allow an address again", responses=documented(400, 413, 415))
async def delete_suppression(body: Address, ctx: Ctx) -> Removed:
    """Ends a suppression of any reason. Withdrawn consents stay withdrawn."""
    async with ctx.db.transaction() as tx:
        concerned = await reachability.hold(tx, addresses=[(body.channel, body.address)])
        removed = await suppressions.remove(tx, body.channel, body.address)
        await reachability.tell(tx, concerned, pace=ctx.settings.pace_at_entry)
    return Removed(removed=removed)


def _shown(found: suppressions.Suppression) -> Suppression:
    return Suppression(channel=found.channel, address_hash=found.address_hash, reason=found.reason, at=found.at)
