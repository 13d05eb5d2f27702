"""What a template may speak of when a message is made for one contact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from tracks.content.brand import NO_BRAND, Brand
from tracks.content.liquid.local_time_filter import NOW, ZONE
from tracks.time.local_time import is_zone


@dataclass(frozen=True)
class MessageContext:
    """What a template may speak of: the contact, the enrollment, the step's variables, the links of a message."""

    contact: Mapping[str, Any]
    enrollment: Mapping[str, Any]
    variables: Mapping[str, Any] = field(default_factory=dict)
    unsubscribe_url: str = ""
    preferences_url: str = ""
    confirm_url: str = ""
    steps: Mapping[str, str] = field(default_factory=dict)
    """How the run's earlier steps ended, as conditions of blocks see it."""
    now: datetime | None = None
    """The time on the run's clock."""
    zone: str = "UTC"
    """The track's zone, for contacts who have none."""
    brand: Brand = NO_BRAND
    event: Mapping[str, Any] = field(default_factory=dict)
    """The event that the run's latest wait matched, for the texts of a step that read it."""

    def seen(self) -> dict[str, Any]:
        """The names for the conditions of blocks. As in a branch, they say whether there is an address, not which."""
        contact = self.contact
        return {
            "contact": {
                **{name: contact.get(name) for name in ("id", "timezone", "locale", "attributes")},
                "has_email": bool(contact.get("email")),
                "has_phone": bool(contact.get("phone")),
                "segments": list(contact.get("segments") or ()),
                "scores": dict(contact.get("scores") or {}),
            },
            "enrollment": {
                **{name: value for name, value in self.enrollment.items() if name != "entry" or value is not None},
                "steps": dict(self.steps),
            },
            "now": self.now or datetime.now(UTC),
        }

    def names(self, defaults: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
        """The names for Liquid. A variable cannot replace a name that every message has, except `brand` and `event`.

        A template that was published before there were these may have a variable of that name. `defaults` are those
        of the template's variables.
        """
        return {
            "brand": self.brand.names,
            "event": self.event,
            **defaults,
            **self.variables,
            "contact": self.contact,
            "enrollment": self.enrollment,
            "unsubscribe_url": self.unsubscribe_url,
            "preferences_url": self.preferences_url,
            "confirm_url": self.confirm_url,
            ZONE: self.local_zone,
            NOW: self.now or datetime.now(UTC),
        }

    @property
    def local_zone(self) -> str:
        """The contact's zone; the track's if the contact has none, or one that does not exist."""
        own = self.contact.get("timezone")
        return own if isinstance(own, str) and is_zone(own) else self.zone
