"""Which interests of a run an event matches, and the signal that the run then receives."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from tracks.runs.bot_engagement import heard
from tracks.runs.history_bounds import carried
from tracks.runs.program import Compiled, Interest
from tracks.runs.run_interface import EventSignal


class Happened(Protocol):
    """The part of an event that matching reads."""

    @property
    def event_id(self) -> str: ...
    @property
    def contact_id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def properties(self) -> Mapping[str, Any]: ...


def event_view(event: Happened, at: datetime) -> dict[str, Any]:
    """The variable `event` in conditions; `at` is on the same clock as the condition's `now`."""
    return {"event_id": event.event_id, "name": event.name, "at": at, "properties": event.properties}


def interested(compiled: Compiled, event: Happened) -> tuple[list[Interest], int]:
    """The interests in events of this name, and how many others ignore it because no person caused the event."""
    named = [interest for interest in compiled.interests if interest.event == event.name]
    hearing = [interest for interest in named if heard(event.name, event.properties, interest.by)]
    return hearing, len(named) - len(hearing)


def about_own(interest: Interest, event: Happened, enrollment_id: str) -> bool:
    """Whether the event satisfies `of`: it must be about this run's own message, sent at that step."""
    about = (event.properties.get("enrollment_id"), event.properties.get("step"))
    return not interest.of or about == (enrollment_id, interest.of)


def signal_of(event: Happened, at: datetime, matches: tuple[str, ...], compiled: Compiled) -> EventSignal:
    """The signal to the run, with only those properties that conditions inside the run read and that are not too large.

    This keeps histories small, and keeps other data about the person out of them.
    """
    told = carried(event.properties, compiled)
    return EventSignal(event_id=event.event_id, name=event.name, at=at, matches=matches, properties=told)


def left_out(signal: EventSignal, event: Happened, compiled: Compiled) -> int:
    """How many properties that conditions read were too large for the signal."""
    return sum(name in event.properties for name in compiled.event_properties) - len(signal.properties)
