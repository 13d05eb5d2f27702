"""A date among the contact's attributes as the entry of a track: when its moment comes, that is an event.

The moments of one date in one zone are kept once, however many tracks are entered by them: their name is that of the
definition, and does not change with the track's version.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticKnownError

from tracks.model.values import AttributeName, LocalTime, Model, Offset, Short, wrong
from tracks.time.durations import Shift

REACHED = "date.reached"
"""The moment of a date has come. The properties are `attribute`, and `date`, the name of the definition."""
PREFIX = "date:"
"""How these names begin. No name that an author chooses has a colon."""


class EntryDate(Model):
    """A date among the contact's attributes, and the moment that it gives."""

    attribute: AttributeName
    yearly: bool = Field(
        default=False,
        description="the date comes every year, such as a birthday; which year it says does not matter",
    )
    feb_29: Literal["feb-28", "mar-1"] | None = Field(
        None,
        validate_default=True,
        description="when 29 February comes in a year that has none: feb-28 or mar-1",
    )
    date_only: bool = Field(
        default=False, description="only year, month and day of the attribute count, whatever time and offset it has"
    )
    offset: Offset = Field(
        default=Shift(),
        description="before (-3d) or after (1d) the date; days of the calendar, or hours",
        json_schema_extra={"default": "0s"},
    )
    time: LocalTime | None = Field(None, description="local time of day; a bare date counts from local midnight")

    @field_validator("feb_29", mode="before")
    @classmethod
    def _leap_day(cls, value: Any, info: ValidationInfo) -> Any:
        yearly = info.data.get("yearly")
        if yearly and value is None:
            raise PydanticKnownError("missing")
        if yearly is False and value is not None:
            raise wrong("is for dates that come every year: write yearly: true")
        return value

    @model_validator(mode="after")
    def _whole_days(self) -> Self:
        if self.time is not None and self.offset.span:
            raise wrong("has a time, so its offset must be whole days, such as -3d")
        return self


class DateMoments(EntryDate):
    """The same with the zone of contacts who have none: all that the moments of a contact follow from."""

    timezone: Short

    @classmethod
    def of(cls, date: EntryDate, timezone: str) -> DateMoments:
        """The moments of an entry's date in a track with this default zone."""
        return cls(**dict(date), timezone=timezone)

    @property
    def data(self) -> dict[str, Any]:
        """The definition in its canonical form."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @property
    def name(self) -> str:
        """The name of the definition: the same wherever the same is written."""
        attribute = re.sub(r"[^A-Za-z0-9_.-]", "-", self.attribute)[:60]
        written = json.dumps(self.data, sort_keys=True, ensure_ascii=False)
        return f"{PREFIX}{attribute}:{hashlib.sha256(written.encode()).hexdigest()[:12]}"
