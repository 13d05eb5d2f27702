"""What many tests of runs are made of: an email step, and the signals of a click and of a goal."""

from __future__ import annotations

from datetime import UTC, datetime

from tracks.runs.program import Effect
from tracks.runs.run_interface import EventSignal

DAY = 86400.0
"""Seconds."""


def email(step: str, **fields: str) -> Effect:
    return Effect(step=step, kind="email", **fields)


def clicked(*matches: str, at: datetime | None = None, event_id: str = "e-1", **properties: str) -> EventSignal:
    """A click at a moment (now, if none is given) that matched these waits, goals and exit rules of the run."""
    return EventSignal(
        event_id=event_id, name="clicked", at=at or datetime.now(UTC), matches=matches, properties=properties
    )


def goal() -> EventSignal:
    """A purchase, which is the run's goal."""
    return EventSignal(event_id="e-1", name="bought", at=datetime.now(UTC), matches=("goal",))
