"""An event as it is accepted: one that a sender tells, or that a change of a segment or a grade is told as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from store.audience.memberships.memberships import Change
from store.audience.scores.values import GradeChange
from store.engine.ids import digest
from tracks.model.date_entries import REACHED
from tracks.model.score_changes import GRADED
from tracks.model.segment_changes import ENTERED, LEFT


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a contact did. The sender chooses `event_id`, unique among all events; the time is real time."""

    event_id: str
    contact_id: str
    name: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    occurred_at: datetime | None = None


def event_of(change: Change) -> Event:
    """The event that tells of a contact who entered or left a segment, or whose date has come."""
    if change.reached is not None:
        # Once per contact and occurrence: of a second change the id is known already.
        once = digest([change.segment, change.contact_id, change.reached.occurrence])
        return Event(
            event_id=f"date:{once[:40]}",
            contact_id=change.contact_id,
            name=REACHED,
            properties={"attribute": change.reached.attribute, "date": change.segment},
            occurred_at=change.at,
        )
    # With the moment: a contact who comes back after an erasure begins to count again.
    moment = int(change.at.timestamp() * 1_000_000)
    return Event(
        event_id=f"segment:{change.segment}:{change.version}:{change.seq}:{moment}:{change.contact_id}",
        contact_id=change.contact_id,
        name=ENTERED if change.entered else LEFT,
        properties={"segment": change.segment, "version": change.version},
        occurred_at=change.at,
    )


def event_of_grade(change: GradeChange) -> Event:
    """The event that tells of a contact whose grade of a score changed."""
    moment = int(change.at.timestamp() * 1_000_000)
    return Event(
        event_id=f"score:{change.score}:{change.version}:{change.seq}:{moment}:{change.contact_id}",
        contact_id=change.contact_id,
        name=GRADED,
        properties={
            "score": change.score,
            "version": change.version,
            "from": change.before,
            "to": change.grade,
            "reached": list(change.passed.reached),
            "lost": list(change.passed.lost),
        },
        occurred_at=change.at,
    )
