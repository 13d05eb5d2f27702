"""Translate Segment's wire format: `identify` is a contact, `group` an attribute, `alias` merges two contacts, and
`track`, `page` and `screen` are events.

https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from api.http import fields
from api.http.bodies.reading import storable
from api.http.problems import FieldProblem, pointer
from api.resources.segment_api.timestamps import Sent, moment_of
from tracks.contacts.contact_fields import storable_data

MAX_ITEMS = 2_500
_MAX_EXACT = 1 << 53
"""Up to this number all JSON readers agree on whole numbers. Above it JavaScript rounds."""
VIEWED = {"page": "page.viewed", "screen": "screen.viewed"}
"""The events that `page` and `screen` become."""
_FREE = ("properties", "traits", "context")
"""Free-form fields of an item. A NUL in them is removed: Segment's libraries do not resend a refused item, so refusing
it would lose an event or a contact. A NUL in an id or a name is refused, because removing it would change the
identity."""
_ADDRESSES: dict[str, Callable[[str], str]] = {
    "email": fields.check_email,
    "phone": fields.check_phone,
    "timezone": fields.check_zone,
    "locale": fields.check_locale,
}


@dataclass(frozen=True, slots=True)
class Identify:
    """Change a contact: `own` are its columns, `attributes` are the other traits."""

    contact_id: str
    own: dict[str, str | None]
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Group:
    """A contact belongs to a group, such as a company; `traits` are the group's."""

    contact_id: str
    group_id: str
    traits: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Track:
    """Something a contact did."""

    contact_id: str
    event_id: str
    name: str
    properties: dict[str, Any]
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Alias:
    """Two ids are one person: `previous_id` goes into `contact_id`."""

    contact_id: str
    previous_id: str


@dataclass(frozen=True, slots=True)
class Item:
    """The translation of one item of a batch: the action, or why there is none, and the item's problems."""

    action: Identify | Group | Track | Alias | None
    reason: str = ""
    errors: list[FieldProblem] = field(default_factory=list)


class ItemProblem(BaseModel):
    """An item that was not used, or only in part."""

    index: int = Field(description="Place in `batch`, from 0.")
    status: Literal["partly accepted", "rejected", "ignored"]
    reason: str
    errors: list[FieldProblem] = []


def translate(index: int, item: Any, sent: Sent | None = None) -> Item:
    """Translate one item of `batch`. It never raises, because one bad item must not affect the others."""
    sent = sent or Sent(datetime.now(UTC))
    at: tuple[str | int, ...] = ("batch", index)
    if not isinstance(item, dict):
        return Item(None, "not-an-object", [FieldProblem(detail="must be an object", pointer=pointer(at))])
    kind = item.get("type")
    if kind not in ("identify", "group", "track", "alias", *VIEWED):
        return Item(None, "unknown-type")
    lost = storable(item, at)
    if lost and storable(item := item | {name: storable_data(item[name]) for name in _FREE if name in item}, at):
        return Item(None, "unstorable", lost)
    found = _translated(kind, item, at, sent)
    return replace(found, reason=found.reason or "unstorable", errors=[*lost, *found.errors]) if lost else found


def _translated(kind: str, item: dict[str, Any], at: tuple[str | int, ...], sent: Sent) -> Item:
    user = item.get("userId")
    if user is None or user == "":
        detail = "userId is missing: events of anonymous visitors belong to no contact"
        return Item(None, "anonymous", [FieldProblem(detail=detail, pointer=pointer((*at, "userId")))])
    errors: list[FieldProblem] = []
    contact_id = ""
    try:
        contact_id = fields.check_identifier(_user(user))
    except ValueError as error:
        errors.append(FieldProblem(detail=str(error), pointer=pointer((*at, "userId"))))
    match kind:
        case "identify":
            return _identify(contact_id, item, at, errors)
        case "group":
            return _group(contact_id, item, at, errors)
        case "track":
            return _track(contact_id, item, at, errors, sent)
        case "alias":
            return _alias(contact_id, item, at, errors)
    return _view(VIEWED[kind], contact_id, item, at, errors, sent)


def _alias(contact_id: str, item: dict[str, Any], at: tuple[str | int, ...], errors: list[FieldProblem]) -> Item:
    try:
        previous_id = fields.check_identifier(_user(item.get("previousId")))
    except ValueError as error:
        errors.append(FieldProblem(detail=str(error), pointer=pointer((*at, "previousId"))))
    if errors:
        return Item(None, "invalid", errors)
    return Item(Alias(contact_id, previous_id))


def _user(given: Any) -> str:
    """A user's id as text. JSON has one kind of number, so 1.0 and 1 are the same user."""
    if isinstance(given, str):
        return given
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise ValueError("must be a text or a whole number")
    if isinstance(given, float) and (not given.is_integer() or abs(given) > _MAX_EXACT):
        raise ValueError("must be a text or a whole number of at most 15 digits")
    return str(int(given))


def _identify(contact_id: str, item: dict[str, Any], at: tuple[str | int, ...], errors: list[FieldProblem]) -> Item:
    traits = _object(item, "traits", at, errors)
    if errors:
        return Item(None, "invalid", errors)
    context = item.get("context")
    hints = context if isinstance(context, dict) else {}
    own: dict[str, str | None] = {}
    written = {name.casefold(): name for name in traits} | {name: name for name in traits}
    for name, check in _ADDRESSES.items():
        place: tuple[str | int, ...] = (*at, "traits", written.get(name, name))
        if name in written:
            value = traits[written[name]]
            value = value.strip() if isinstance(value, str) else value
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
    taken = {written[name] for name in _ADDRESSES if name in written}
    attributes = {name: value for name, value in traits.items() if name not in taken}
    return Item(Identify(contact_id, own, attributes), "invalid" if errors else "", errors)


def _track(
    contact_id: str, item: dict[str, Any], at: tuple[str | int, ...], errors: list[FieldProblem], sent: Sent
) -> Item:
    properties = _object(item, "properties", at, errors)
    name = item.get("event")
    try:
        name = fields.check_event_name(name if isinstance(name, str) else "")
    except ValueError as error:
        errors.append(FieldProblem(detail=str(error), pointer=pointer((*at, "event"))))
    return _event(contact_id, str(name), properties, item, at, errors, sent)


def _view(
    event: str, contact_id: str, item: dict[str, Any], at: tuple[str | int, ...], errors: list[FieldProblem], sent: Sent
) -> Item:
    """A page or screen that was looked at: one event for all of them, whose properties say which."""
    properties = _object(item, "properties", at, errors)
    for name in ("name", "category"):
        given = item.get(name)
        if isinstance(given, str):
            properties = properties | {name: given}
        elif given is not None:
            errors.append(FieldProblem(detail="must be a text", pointer=pointer((*at, name))))
    return _event(contact_id, event, properties, item, at, errors, sent)


def _event(
    contact_id: str,
    name: str,
    properties: dict[str, Any],
    item: dict[str, Any],
    at: tuple[str | int, ...],
    errors: list[FieldProblem],
    sent: Sent,
) -> Item:
    moment, doubts = moment_of(item, sent, at, errors)
    if errors:
        return Item(None, "invalid", errors)
    track = Track(contact_id, _event_id(item), name, properties, moment)
    return Item(track, "sent-at" if doubts else "", doubts)


def _group(contact_id: str, item: dict[str, Any], at: tuple[str | int, ...], errors: list[FieldProblem]) -> Item:
    traits = _object(item, "traits", at, errors)
    group_id = ""
    try:
        group_id = fields.check_event_name(_user(item.get("groupId")))
    except ValueError as error:
        errors.append(FieldProblem(detail=str(error), pointer=pointer((*at, "groupId"))))
    if errors:
        return Item(None, "invalid", errors)
    return Item(Group(contact_id, group_id, traits))


def _event_id(item: dict[str, Any]) -> str:
    """The client's `messageId`. If it is missing or invalid, a digest of the content identifies the event."""
    given = item.get("messageId")
    if isinstance(given, str) and 1 <= len(given) <= 200:
        return given
    said = {name: value for name, value in item.items() if name not in ("sentAt", "receivedAt")}  # per attempt
    content = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
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
