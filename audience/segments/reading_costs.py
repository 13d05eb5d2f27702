"""Which leaves read all events of a name, and when that is more than a segment may read.

Most leaves are decided by the newest few events. Those with a condition and those that compute a figure read all events
of their window, for each event of the contact that arrives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from audience.segments.leaves.aggregates import Aggregate
from audience.segments.members import LEAVES, EventLeaf, First, Last, event_of
from tracks.shared.yaml_source import Path
from tracks.time.durations import format_duration

MANY_READ = 200
"""Events that a leaf may read of one contact on average. A condition takes about 35 µs an event (measured), so that is
7 ms for each event that arrives."""
ENOUGH = 20
"""Contacts with such events, below which a sample says nothing."""
SHORTER = (timedelta(days=90), timedelta(days=30), timedelta(days=7), timedelta(days=1))
"""Windows that are looked at for one that would be right."""
_GROUPS = ("all", "any", "not")


@dataclass(frozen=True)
class Reading:
    """A leaf that reads all events of a name, within a span of time or ever (None)."""

    path: Path
    event: str
    within: timedelta | None


@dataclass(frozen=True)
class Measured:
    """In a random sample: how many contacts have such events, how many they have on average, and how many contacts have
    more than are read."""

    contacts: int
    average: float
    beyond: int

    @property
    def too_many(self) -> bool:
        """Whether that is more than a leaf may read: on average, or of more than every hundredth of these contacts."""
        return self.contacts >= ENOUGH and (self.average > MANY_READ or self.beyond * 100 > self.contacts)


def readings_of(data: Any) -> list[Reading]:
    """The leaves of a valid segment's data that read all events of a name."""
    return list(_readings(data["members"], ("members",)))


def _readings(part: Any, path: Path) -> Iterator[Reading]:
    if isinstance(part, list):
        for number, one in enumerate(part):
            yield from _readings(one, (*path, number))
    elif isinstance(part, Mapping):
        group = next((key for key in _GROUPS if key in part), None)
        if group is not None:
            yield from _readings(part[group], (*path, group))
            return
        kind = next(kind for kind in LEAVES if kind in part)
        leaf = LEAVES[kind].model_validate(part)
        if isinstance(leaf, EventLeaf) and (isinstance(leaf, Aggregate) or leaf.looks_inside):
            yield Reading((*path, kind), event_of(leaf), _window(leaf))


def _window(leaf: EventLeaf) -> timedelta | None:
    return None if isinstance(leaf, Last | First) else leaf.within


def wanted(readings: Sequence[Reading]) -> list[tuple[str, timedelta | None]]:
    """What to measure: each event in each window, and in shorter ones."""
    found: dict[tuple[str, timedelta | None], None] = {}
    for one in readings:
        for within in (one.within, *_shorter(one.within)):
            found[one.event, within] = None
    return list(found)


def _shorter(within: timedelta | None) -> list[timedelta]:
    return [one for one in SHORTER if within is None or one < within]


def cost_problems(
    readings: Sequence[Reading], measured: Mapping[tuple[str, timedelta | None], Measured]
) -> Iterator[tuple[Path, str]]:
    """The leaves that would read too much, each with what would be right."""
    for one in readings:
        found = measured[one.event, one.within]
        if not found.too_many:
            continue
        right = next((s for s in _shorter(one.within) if not measured[one.event, s].too_many), None)
        window = "ever" if one.within is None else f"within {format_duration(one.within)}"
        many = f"contacts have {found.average:,.0f} events {one.event} {window} on average"
        if found.beyond:
            many += f", and {found.beyond:,} of {found.contacts:,} have too many to be judged"
        advice = "name an event that is rarer"
        if right is not None:
            fewer = measured[one.event, right].average
            advice = f"within: {format_duration(right)} would be right ({fewer:,.0f} on average)"
        yield one.path, f"would read too much: {many}; {advice}, or count without a condition"
