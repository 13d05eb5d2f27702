"""What HubSpot says of a contact or a task, as it was read from a webhook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple


class Moment(NamedTuple):
    """The place of a change among those of the same property, whatever the order of arrival; the greater is the newer.

    HubSpot's times have milliseconds. Within one, the event's id decides, so that every order of arrival gives the same
    result.
    """

    at: datetime
    event_id: str


@dataclass(frozen=True, slots=True)
class Change:
    """A new value of a property of a contact, or the completion of a task (`kind`).

    `own` is whether Perennial itself caused it. `value` is None if the property was emptied.
    """

    moment: Moment
    object_id: str
    name: str
    value: str | None
    own: bool = False
    kind: Literal["contact", "task"] = "contact"


@dataclass(frozen=True, slots=True)
class Properties:
    """Which properties of HubSpot become attributes, and which one has the contact's id."""

    attributes: Mapping[str, str]
    id_property: str


@dataclass(frozen=True, slots=True)
class Merge:
    """Contacts of HubSpot that became one; `into` is the one that is left."""

    into: str
    objects: Sequence[str] = field(default=())
