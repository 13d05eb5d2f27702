"""What HubSpot says of a contact or a task, as it was read from a webhook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from store.people.hubspot.typed_values import Value, typed

COMPLETED = "COMPLETED"
"""HubSpot's status of a task that is done."""


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

    `own` is whether Perennial itself caused it. `value` is None if the property was emptied. The value of a completion
    is `COMPLETED`, or its outcome: a word, and a reason after a colon.
    """

    moment: Moment
    object_id: str
    name: str
    value: str | None
    own: bool = False
    kind: Literal["contact", "task"] = "contact"

    @property
    def outcome(self) -> str | None:
        """The outcome of a task, if a person said one."""
        return self.value if self.value != COMPLETED else None


@dataclass(frozen=True, slots=True)
class Properties:
    """Which properties of HubSpot become attributes, and which one has the contact's id.

    `types` are the types of values that are not text, by property: see `typed_values`.
    """

    attributes: Mapping[str, str]
    id_property: str
    types: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def written(cls, attributes: Mapping[str, str], id_property: str) -> Properties:
        """As the settings write them: the attribute's name, a colon and the type."""
        parts = {name: written.partition(":") for name, written in attributes.items()}
        types = {name: kind for name, (_, _, kind) in parts.items() if kind}
        return cls({name: attribute for name, (attribute, _, _) in parts.items()}, id_property, types)

    def value(self, name: str, value: str | None) -> Value:
        """The value of a property as its attribute's."""
        return typed(self.types.get(name, "text"), value)


@dataclass(frozen=True, slots=True)
class Merge:
    """Contacts of HubSpot that became one; `into` is the one that is left."""

    into: str
    objects: Sequence[str] = field(default=())
