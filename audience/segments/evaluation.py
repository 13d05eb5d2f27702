"""Whether a contact is a member of a segment at a moment, why, and until when that cannot change by time alone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from audience.conditions import judge_event
from audience.facts import Fact, Facts
from audience.segments.members import (
    All,
    AnyOf,
    Condition,
    Did,
    DidNot,
    EventLeaf,
    First,
    Last,
    Leaf,
    Members,
    Not,
    event_of,
    leaves,
    needed,
)
from tracks.conditions.conditions import Verdict, judge


@dataclass(frozen=True, slots=True)
class LeafAnswer:
    """What one leaf says of a contact, and by which facts."""

    leaf: Leaf
    holds: bool
    facts: tuple[Fact, ...] = ()
    """The newest events that were counted, at most as many as decide."""
    count: int | None = None
    """How many events were counted; None for a condition."""
    why: str = ""
    """For a condition that could not be computed: `missing`, `type`, …"""


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether the contact is a member, and the earliest moment at which that changes if nothing else happens."""

    member: bool
    changes_at: datetime | None
    leaves: tuple[LeafAnswer, ...]


def evaluate(members: Members, facts: Facts, now: datetime) -> Answer:
    """The answer at `now`. A condition that cannot be computed is false, as in tracks.

    Raises ConditionError where a condition may not be computed over this contact's data, because it is too large.
    """
    membership = Membership(members, facts)
    return Answer(membership.holds(now), next(membership.changes(now), None), membership.leaf_answers(now))


class Membership:
    """Whether one contact is a member, at any moment: what does not depend on the moment is computed once."""

    def __init__(self, members: Members, facts: Facts) -> None:
        self._members = members
        self._known = _Known(members, facts)

    def holds(self, now: datetime) -> bool:
        """Whether the contact is a member at that moment."""
        return self._known.holds(self._members, now)

    def changes(self, now: datetime) -> Iterator[datetime]:
        """All moments after `now` at which membership changes if nothing else happens, in order."""
        member = self.holds(now)
        for moment in self._known.moments(now):
            if self.holds(moment) != member:
                member = not member
                yield moment

    def leaf_answers(self, now: datetime) -> tuple[LeafAnswer, ...]:
        """What each leaf says at that moment."""
        return tuple(self._known.answer(leaf, now) for leaf in leaves(self._members))


class _Known:
    """What does not depend on the moment, computed once: conditions, and the events that each leaf may count."""

    def __init__(self, members: Members, facts: Facts) -> None:
        self._conditions: dict[str, Verdict] = {}
        self._events: dict[EventLeaf, list[Fact]] = {}
        self._times: dict[EventLeaf, list[datetime]] = {}
        for leaf in leaves(members):
            if isinstance(leaf, Condition):
                self._conditions[leaf.text] = judge(leaf.text, {"contact": facts.contact})
            else:
                named = (fact for fact in facts.events if fact.name == event_of(leaf))
                found = [fact for fact in named if judge_event(leaf.where, fact).holds]
                self._events[leaf] = sorted(found, key=lambda fact: (fact.at, fact.event_id))
                self._times[leaf] = [fact.at for fact in self._events[leaf]]

    def holds(self, members: Members, now: datetime) -> bool:
        """Whether the tree is true at that moment."""
        match members:
            case All(parts):
                return all(self.holds(part, now) for part in parts)
            case AnyOf(parts):
                return any(self.holds(part, now) for part in parts)
            case Not(part):
                return not self.holds(part, now)
            case Condition(text):
                return self._conditions[text].holds
            case Did():
                begin, end = self._counted(members, now)
                return members.times.hold(end - begin)
            case DidNot():
                begin, end = self._counted(members, now)
                return begin == end
            case Last() | First():
                begin, end = self._counted(members, now)
                return begin < end and _ago(members, self._times[members][begin], now)

    def answer(self, leaf: Leaf, now: datetime) -> LeafAnswer:
        """The same of one leaf, with what decided it."""
        if isinstance(leaf, Condition):
            verdict = self._conditions[leaf.text]
            return LeafAnswer(leaf, verdict.holds, why=verdict.why)
        begin, end = self._counted(leaf, now)
        newest = max(begin, end - needed(leaf))
        return LeafAnswer(leaf, self.holds(leaf, now), tuple(self._events[leaf][newest:end]), end - begin)

    def _counted(self, leaf: EventLeaf, now: datetime) -> tuple[int, int]:
        """The events that the leaf counts at that moment, as the indexes of the first and after the last."""
        times = self._times[leaf]
        end = bisect_right(times, now)
        match leaf:
            case Last():
                return max(end - 1, 0), end
            case First():
                return 0, min(end, 1)
            case _:
                return 0 if leaf.within is None else min(bisect_right(times, now - leaf.within), end), end

    def moments(self, now: datetime) -> Iterator[datetime]:
        """The moments after `now` at which any leaf may change, in order."""
        found: set[datetime] = set()
        for leaf, times in self._times.items():
            spans = [leaf.within] if isinstance(leaf, Did | DidNot) else [leaf.within, leaf.before]
            # Of the events of the past, only the newest decide: the older ones leave a window before these.
            oldest = 0 if isinstance(leaf, First) else max(bisect_right(times, now) - needed(leaf), 0)
            for at in times[oldest:]:
                found.add(at)
                found |= {at + span for span in spans if span is not None}
        yield from sorted(moment for moment in found if moment > now)


def _ago(leaf: Last | First, at: datetime, now: datetime) -> bool:
    """Whether `at` is longer ago than `before`, and not longer ago than `within`."""
    old_enough = leaf.before is None or at <= now - leaf.before
    return old_enough and (leaf.within is None or at > now - leaf.within)
