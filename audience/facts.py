"""What is known of one contact when segments and scores are computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple, Self

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Fact(NamedTuple):
    """Something that a contact did."""

    event_id: str
    name: str
    at: datetime
    properties: Mapping[str, Any]


Span = tuple[datetime, datetime | None]
"""From the first moment until before the second one; None: without end."""
EVER = datetime.min.replace(tzinfo=UTC)
"""The beginning of a span of which it is not known since when it lasts."""


class Standing(NamedTuple):
    """When a leaf about a standing is true, such as being on a track; `why` tells why it is not true now."""

    spans: Sequence[Span] = ()
    why: str = ""


@dataclass(frozen=True)
class Facts:
    """What is known of one contact: the contact as conditions see it, events in any order, and where they stand.

    `standings` are by the leaf of the segment that asks for them.
    """

    contact: Mapping[str, Any]
    events: Sequence[Fact] = ()
    cut: Mapping[str, datetime] = field(default_factory=dict)
    """Names of which there are too many events to be read: of each, those from this moment on are known."""
    grades: Mapping[str, str] = field(default_factory=dict)
    """The contact's grade by each score, as far as segments ask for it."""
    standings: Mapping[Any, Standing] = field(default_factory=dict)

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
    def once(self) -> Facts:
        """The same with each event once: of those with one id, the earliest."""
        if len({fact.event_id for fact in self.events}) == len(self.events):
            return self
        found = {fact.event_id: fact for fact in sorted(self.events, key=_by_time, reverse=True)}
        return replace(self, events=tuple(found.values()))

    @cached_property
    def times(self) -> Mapping[str, Sequence[datetime]]:
        """The moments of the events of each name, in order."""
        return {name: [fact.at for fact in found] for name, found in self.by_name.items()}

    @cached_property
    def instants(self) -> Mapping[str, Sequence[int]]:
        """The same in whole microseconds since 1970."""
        return {name: [(at - _EPOCH) // _MICROSECOND for at in found] for name, found in self.times.items()}

    @cached_property
    def latest(self) -> datetime | None:
        """The moment of the latest event; None without events."""
        return max((fact.at for fact in self.events), default=None)


def _by_time(fact: Fact) -> tuple[datetime, str]:
    return fact.at, fact.event_id
