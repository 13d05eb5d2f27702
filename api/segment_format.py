"""Segment's wire format, translated: `identify` is a contact, `track` an event, the rest is nothing for us.

https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from api import fields
from api.bodies import storable
from api.problems import FieldProblem, pointer

MAX_ITEMS = 2_500
_ADDRESSES: dict[str, Callable[[str], str]] = {
    "email": fields.check_email,
    "phone": fields.check_phone,
    "timezone": fields.check_zone,
    "locale": fields.check_locale,
}


@dataclass(frozen=True, slots=True)
class Identify:
    """Change a contact: `own` are its columns, `attributes` the rest of the traits."""

    contact_id: str
    own: dict[str, str | None]
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Track:
    """Something a contact did."""

    contact_id: str
    event_id: str
    name: str
    properties: dict[str, Any]
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Item:
    """What became of one item of a batch: what to do, or why nothing is done, and what was wrong with it."""

    action: Identify | Track | None
    reason: str = ""
    errors: list[FieldProblem] = field(default_factory=list)


class ItemProblem(BaseModel):
    """An item that was not used, or not all of it."""

    index: int = Field(description="Place in `batch`, from 0.")
    status: Literal["partly accepted", "rejected", "ignored"]
    reason: str
    errors: list[FieldProblem] = []


def translate(index: int, item: Any) -> Item:
    """One item of `batch`; never raises, because one bad item must not touch its neighbours."""
    at: tuple[str | int, ...] = ("batch", index)
    if not isinstance(item, dict):
        return Item(None, "not-an-object", [FieldProblem(detail="must be an object", pointer=pointer(at))])
    kind = item.get("type")
    if kind not in ("identify", "track"):
        return Item(None, f"type-{kind}" if kind in ("page", "screen", "group", "alias") else "unknown-type")
    if errors := storable(item, at):
        return Item(None, "unstorable", errors)
    user = item.get("userId")
    if user is None or user == "":
        detail = "userId is missing: events of anonymous visitors belong to no contact"
        return Item(None, "anonymous", [FieldProblem(detail=detail, pointer=pointer((*at, "userId")))])
    errors = []
    contact_id = ""
    try:
        contact_id = fields.check_identifier(user if isinstance(user, str) else json.dumps(user))
    except ValueError as error:
        errors.append(FieldProblem(detail=str(error), pointer=pointer((*at, "userId"))))
    return _identify(contact_id, item, at, errors) if kind == "identify" else _track(contact_id, item, at, errors)


def _identify(contact_id: str, item: dict[str, Any], at: tuple[str | int, ...], errors: list[FieldProblem]) -> Item:
    traits = _object(item, "traits", at, errors)
    if errors:
        return Item(None, "invalid", errors)
    context = item.get("context")
    hints = context if isinstance(context, dict) else {}
    own: dict[str, str | None] = {}
    for name, check in _ADDRESSES.items():
        place: tuple[str | int, ...] = (*at, "traits", name)
        if name in traits:
            value = traits[name]
        elif name in ("timezone", "locale") and hints.get(name):
            place, value = (*at, "context", name), hints[name]
        else:
            continue
        if value is None or value == "":
            own[name] = None
        elif not isinstance(value, str):
            errors.append(FieldProblem(detail="must be a text", pointer=pointer(place)))
        else:
            try:
                own[name] = check(value)
            except ValueError as error:
                errors.append(FieldProblem(detail=str(error), pointer=pointer(place)))
    attributes = {name: value for name, value in traits.items() if name not in _ADDRESSES}
    return Item(Identify(contact_id, own, attributes), "invalid" if errors else "", errors)


def _track(contact_id: str, item: dict[str, Any], at: tuple[str | int, ...], errors: list[FieldProblem]) -> Item:
    properties = _object(item, "properties", at, errors)
    name = item.get("event")
    try:
        name = fields.check_event_name(name if isinstance(name, str) else "")
    except ValueError as error:
        errors.append(FieldProblem(detail=str(error), pointer=pointer((*at, "event"))))
    occurred_at = _moment(item.get("timestamp"), (*at, "timestamp"), errors)
    if errors:
        return Item(None, "invalid", errors)
    return Item(Track(contact_id, _event_id(item), str(name), properties, occurred_at))


def _event_id(item: dict[str, Any]) -> str:
    """The client's `messageId`; without one (or with an absurd one) the content decides what is the same."""
    given = item.get("messageId")
    if isinstance(given, str) and 1 <= len(given) <= 200:
        return given
    content = json.dumps(item, sort_keys=True, separators=(",", ":")).encode()
    return f"segment-{hashlib.sha256(content).hexdigest()[:40]}"


def _object(item: dict[str, Any], name: str, at: tuple[str | int, ...], errors: list[FieldProblem]) -> dict[str, Any]:
    value = item.get(name)
    if value is None:
        return {}
    try:
        if not isinstance(value, dict):
            raise ValueError("must be an object")
        return fields.check_object(value)
    except ValueError as error:
        errors.append(FieldProblem(detail=str(error), pointer=pointer((*at, name))))
        return {}


def _moment(value: Any, at: tuple[str | int, ...], errors: list[FieldProblem]) -> datetime:
    now = datetime.now(UTC)
    if value is None:
        return now
    try:
        moment = datetime.fromisoformat(value)
        return fields.check_moment(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (TypeError, ValueError):
        errors.append(FieldProblem(detail="must be an ISO 8601 time since 1970", pointer=pointer(at)))
        return now
