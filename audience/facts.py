"""What is known of one contact when segments and scores are computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple, Self


class Fact(NamedTuple):
    """Something that a contact did."""

    event_id: str
    name: str
    at: datetime
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class Facts:
    """What is known of one contact: the contact as conditions see it, and events in any order."""

    contact: Mapping[str, Any]
    events: Sequence[Fact] = ()

    @classmethod
    def of_times(cls, contact: Mapping[str, Any], times: Mapping[str, Sequence[datetime]]) -> Self:
        """Facts with the moments of events alone, by name and in order: `events` and `by_name` are empty."""
        facts = cls(contact)
        latest = max((moments[-1] for moments in times.values()), default=None)
        vars(facts).update(times=times, latest=latest)  # what the properties below would keep there
        return facts

    @cached_property
    def by_name(self) -> Mapping[str, Sequence[Fact]]:
        """The events of each name, by time."""
        found: dict[str, list[Fact]] = {}
        for fact in sorted(self.events, key=_by_time):
            found.setdefault(fact.name, []).append(fact)
        return found

    @cached_property
    def times(self) -> Mapping[str, Sequence[datetime]]:
        """The moments of the events of each name, in order."""
        return {name: [fact.at for fact in found] for name, found in self.by_name.items()}

    @cached_property
    def latest(self) -> datetime | None:
        """The moment of the latest event; None without events."""
        return max((fact.at for fact in self.events), default=None)


def _by_time(fact: Fact) -> tuple[datetime, str]:
    return fact.at, fact.event_id
