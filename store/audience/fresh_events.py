"""Events that a transaction has stored, as scores read them that add these to what was counted before."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import text

from audience.facts import Fact
from audience.segments.probes import Probe
from store.audience.facts import MAX_EVENTS
from store.engine.pipeline import Statement
from store.engine.sql import many


class FreshEvent(NamedTuple):
    """An event that was stored in this transaction."""

    event_id: str
    name: str
    at: datetime


class Plan(NamedTuple):
    """What to read of contacts to whose scores new events of some names are added: see `FreshEvents.ask`."""

    probes: list[Probe]
    inside: frozenset[str]
    counted: Sequence[tuple[str, timedelta | None]]


class FreshEvents:
    """What is to be read of the new events of some contacts: properties, and whether there are too many of a name."""

    def __init__(self) -> None:
        self._inside: list[tuple[str, FreshEvent]] = []
        self._counted: list[tuple[str, str, datetime | None]] = []
        self._read: dict[str, Fact] = {}
        self._too_many: set[str] = set()

    def ask(
        self,
        contact_id: str,
        events: Iterable[FreshEvent],
        inside: Collection[str],
        counted: Iterable[tuple[str, timedelta | None]],
        now: datetime,
    ) -> None:
        """Read the properties of those events whose names are `inside`; and of each name, look whether the contact has
        more than `MAX_EVENTS` of it, as far back as told with it."""
        self._inside += [(contact_id, event) for event in events if event.name in inside]
        self._counted += [(contact_id, name, None if span is None else now - span) for name, span in counted]

    def statements(self) -> list[Statement]:
        """What to send; at most two statements."""
        found = []
        if self._inside:
            given: dict[str, Any] = {
                "contact": [contact_id for contact_id, _ in self._inside],
                "name": [event.name for _, event in self._inside],
                "at": [event.at for _, event in self._inside],
                "id": [event.event_id for _, event in self._inside],
            }
            found.append(Statement(_INSIDE, given))
        if self._counted:
            contacts, names, since = map(list, zip(*self._counted, strict=True))
            found.append(Statement(_TOO_MANY, {"contact": contacts, "name": names, "since": since}))
        return found

    def take(self, rows: Sequence[Iterable[Any]]) -> None:
        """Take up the rows of `statements`."""
        answers = list(rows)
        if self._inside:
            for event_id, name, at, properties in answers.pop(0):
                self._read[event_id] = Fact(event_id, name, at, properties)
        if self._counted:
            self._too_many = {contact_id for (contact_id,) in answers.pop(0)}

    def too_many(self, contact_id: str) -> bool:
        """Whether the contact has too many events of a name."""
        return contact_id in self._too_many

    def facts(self, events: Iterable[FreshEvent]) -> list[Fact]:
        """The events in order. Those whose properties were not asked for have none."""
        found = [self._read.get(event.event_id) or Fact(*event, {}) for event in events]
        return sorted(found, key=lambda fact: (fact.at, fact.event_id))


_INSIDE = text(f"""
    SELECT e.event_id, e.name, e.occurred_at, e.properties
    FROM {many("w", contact="text", name="text", at="timestamptz", id="text")}
    JOIN event e ON e.contact_id = w.contact AND e.name = w.name AND e.occurred_at = w.at AND e.event_id = w.id
""")
_TOO_MANY = text(f"""
    SELECT w.contact FROM {many("w", contact="text", name="text", since="timestamptz")}
    WHERE EXISTS (
        SELECT FROM event e WHERE e.contact_id = w.contact AND e.name = w.name
            AND e.occurred_at > coalesce(w.since, CAST('-infinity' AS timestamptz))
        OFFSET {MAX_EVENTS}
    )
""")
