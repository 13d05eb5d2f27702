"""The part of the policy about how long stored events are kept.

```
retention:
  events: {default: 400d, names: {page.viewed: 90d, order.paid: forever}}
```
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field, PlainSerializer, ValidatorFunctionWrapHandler, WrapValidator, model_validator
from pydantic.json_schema import WithJsonSchema

from tracks.model.date_entries import REACHED
from tracks.model.values import Duration, EventName, Model, wrong
from tracks.time.durations import format_duration

FOREVER = timedelta.max
"""The retention of events that are never deleted."""
SHORTEST = timedelta(days=30)
"""The shortest retention. Whoever sends an event again does so within this time."""
MAX_NAMES = 500


def _kept(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    if value in ("forever", FOREVER):
        return FOREVER
    kept = read(value)
    if kept < SHORTEST:
        raise wrong(f"is shorter than {SHORTEST.days} days")
    return kept


def format_kept(kept: timedelta) -> str:
    """The retention as it is written."""
    return "forever" if kept == FOREVER else format_duration(kept)


Kept = Annotated[
    Duration,
    WrapValidator(_kept),
    PlainSerializer(format_kept, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^(forever|P.*|(\d+[wdhms] ?)+)$", "examples": ["400d", "forever"]}),
]
"""How long something is kept; `forever` is FOREVER."""


class EventRetention(Model):
    """How long events are kept, counted from when they happened."""

    default: Kept = Field(FOREVER, description="events of every name that is not in `names`, such as 400d, or forever")
    names: dict[EventName, Kept] = Field({}, max_length=MAX_NAMES, description="events of these names")

    @model_validator(mode="after")
    def _dates_stay(self) -> EventRetention:
        if REACHED in self.names:
            raise wrong(f"names {REACHED}, which is always kept: it says which dates have enrolled somebody already")
        return self

    def of(self, name: str) -> timedelta:
        """How long events of this name are kept."""
        return FOREVER if name == REACHED else self.names.get(name, self.default)

    @property
    def deletes(self) -> bool:
        """Whether events of any name are deleted."""
        return any(kept != FOREVER for kept in (self.default, *self.names.values()))


class Retention(Model):
    """How long what is stored of contacts is kept."""

    events: EventRetention = EventRetention()


NO_RETENTION = Retention()
"""Everything is kept."""
