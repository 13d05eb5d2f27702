"""What enrols a contact into a track by itself: an event, entering a segment, a grade of a score, or a date.

A track has one entry, or a list of them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from tracks.model.date_entries import REACHED, DateMoments, EntryDate
from tracks.model.score_changes import GRADED, grade_problem, of_score
from tracks.model.segment_changes import ENTERED, of_segment
from tracks.model.sending import EntryExclusion
from tracks.model.values import Duration, EntryCondition, EventName, Model, Slug, wrong

MAX_AGE = timedelta(days=7)
"""An event that is reported later than this after it happened enrols nobody, unless the track sets another age. Events
from a device that was offline for days still count; a replay of old history does not. Publishing a version sets this
age; versions that were published before it existed have none."""
MAX_ENTRIES = 20
"""Entries of one track. Each is judged for every event of its name."""


def one_of(*keys: str) -> ConfigDict:
    """The rule for editors that exactly one of these keys is there."""
    return ConfigDict(json_schema_extra={"oneOf": [{"required": [key]} for key in keys]})


class Entry(Model):
    """What enrols a contact: an event, entering a segment, a grade of a score, or a date among the attributes."""

    model_config = one_of("event", "segment", "score", "date")

    id: Slug | None = Field(
        None, description="its name in enrollment.entry; if left out, the event, segment, score or attribute"
    )
    event: EventName | None = None
    segment: Slug | None = Field(None, description="the segment whose new members are enrolled")
    score: Slug | None = Field(None, description="the score whose grade enrols; with grade or below")
    grade: Slug | None = Field(None, description="of the score: who rises to this grade or above is enrolled")
    below: Slug | None = Field(None, description="of the score: who falls below this grade is enrolled")
    date: EntryDate | None = Field(None, description="the date among the attributes that enrols when it comes")
    where: EntryCondition | None = None
    unless: EntryExclusion | None = Field(
        None, description="whom it does not enrol: a condition, or {event, within} for an earlier event"
    )
    max_age: Duration | None = Field(
        None, description="how long ago the event may have happened when it is reported; 7d if left out"
    )

    @model_validator(mode="after")
    def _has_one_cause(self) -> Self:
        if sum(one is not None for one in (self.event, self.segment, self.score, self.date)) != 1:
            raise wrong("needs an event, a segment, a score or a date, and only one of them")
        if (problem := grade_problem(self.score, self.grade, self.below)) is not None:
            raise wrong(problem)
        return self

    @property
    def name(self) -> str:
        """What `enrollment.entry` says of a run that this entry began."""
        return self.id or self.segment or self.score or (self.date.attribute if self.date else self.event or "")

    def moments(self, timezone: str) -> DateMoments | None:
        """The moments of its date; `timezone` is that of contacts who have none."""
        return DateMoments.of(self.date, timezone) if self.date is not None else None

    @property
    def cause(self) -> tuple[str, str | None]:
        """The event that enrols, and the condition for it. That of a date is about all dates."""
        if self.segment is not None:
            return ENTERED, of_segment(self.segment, self.where)
        if self.score is not None:
            return GRADED, of_score(self.score, self.grade, self.below, self.where)
        return (REACHED if self.date is not None else self.event or ""), self.where


def _tag(value: Any) -> str:
    return "#entries" if isinstance(value, list | tuple) else "#entry"


Entries = Annotated[
    Annotated[Entry, Tag("#entry")]
    | Annotated[tuple[Entry, ...], Field(min_length=1, max_length=MAX_ENTRIES), Tag("#entries")],
    Discriminator(_tag),
]
"""One entry, or a list of them."""
