"""Whether a contact is a member of a segment at a moment, why, and until when that cannot change by time alone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from heapq import merge

from audience.conditions import judge_contact
from audience.facts import Fact, Facts
from audience.segments.leaves.aggregates import Aggregate, Values
from audience.segments.leaves.dates import Calendar, Dated, DateLeaf
from audience.segments.leaves.grade_leaf import ScoreGrade
from audience.segments.leaves.standings import (
    NOWHERE,
    Consents,
    Converted,
    Course,
    InSegment,
    OnTrack,
    Reachable,
    StandingLeaf,
)
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
from tracks.conditions.conditions import Verdict

NEWEST = 3
"""Events that the answer of an aggregate names."""
_YEARS = range(-1, 11)
"""Years around a moment, after which nothing new comes of yearly dates alone.

What is true on a day depends on the leap years around it, and within nine years each order of them has come, also
around 2100. Two more years, since a span may begin in another year than its date, and local and UTC years differ.
"""


@dataclass(frozen=True, slots=True)
class LeafAnswer:
    """What one leaf says of a contact, and by which facts."""

    leaf: Leaf
    holds: bool
    facts: tuple[Fact, ...] = ()
    """The newest events that were counted, at most as many as decide; of an aggregate, at most `NEWEST`."""
    count: int | None = None
    """How many events were counted; None for a leaf that is about no event."""
    why: str = ""
    """For a condition or a date that could not be computed: `missing`, `type`, `not a date`, …; why a contact is not
    reachable."""
    value: int | float | date | None = None
    """The aggregate, such as the sum; the day that a date means."""
    left_out: int = 0
    """How many events an aggregate could not count: their property is missing, or not of the right type."""


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
        """All moments after `now` at which membership changes if nothing else happens, in order.

        With yearly dates these are those of the next years only, and the first one always.
        """
        member = self.holds(now)
        for moment in self._known.moments(self._members, now):
            if self.holds(moment) != member:
                member = not member
                yield moment

    def leaf_answers(self, now: datetime) -> tuple[LeafAnswer, ...]:
        """What each leaf says at that moment."""
        return tuple(self._known.answer(leaf, now) for leaf in leaves(self._members))


class _Known:
    """What does not depend on the moment, computed once: conditions, dates, and the events that a leaf may count."""

    def __init__(self, members: Members, facts: Facts) -> None:
        self._conditions: dict[str, Verdict] = {}
        self._grades = facts.grades
        self._calendar = Calendar(facts.contact)
        self._dates: dict[DateLeaf, Dated] = {}
        self._courses: dict[StandingLeaf, Course] = {}
        self._values: dict[Aggregate, Values] = {}
        self._events: dict[EventLeaf, list[Fact]] = {}
        self._times: dict[EventLeaf, list[datetime]] = {}
        self._today: tuple[datetime, date] | None = None
        for leaf in leaves(members):
            if isinstance(leaf, Condition):
                self._conditions[leaf.text] = judge_contact(leaf.text, facts.contact)
            elif isinstance(leaf, DateLeaf):
                self._dates[leaf] = self._calendar.dated(leaf)
            elif isinstance(leaf, StandingLeaf):
                self._courses[leaf] = Course(leaf, facts.standings.get(leaf, NOWHERE))
            elif not isinstance(leaf, ScoreGrade):
                named = (fact for fact in facts.events if fact.name == event_of(leaf))
                found = [fact for fact in named if leaf.counts(fact)]
                found.sort(key=lambda fact: (fact.at, fact.event_id))
                if isinstance(leaf, Aggregate):
                    self._values[leaf] = Values(leaf, found)
                    found = self._values[leaf].events
                self._events[leaf] = found
                self._times[leaf] = [fact.at for fact in found]

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
            case DateLeaf():
                return self._dates[members].holds(self._day(now))
            case ScoreGrade():
                return members.holds(self._grades)
            case InSegment() | OnTrack() | Converted() | Consents() | Reachable():
                return self._courses[members].holds(now)
            case Did():
                begin, end = self._counted(members, now)
                return members.times.hold(end - begin)
            case DidNot():
                begin, end = self._counted(members, now)
                return begin == end
            case Last() | First():
                begin, end = self._counted(members, now)
                return begin < end and _ago(members, self._times[members][begin], now)
            case Aggregate():
                return self._values[members].hold(*self._counted(members, now))

    def answer(self, leaf: Leaf, now: datetime) -> LeafAnswer:
        """The same of one leaf, with what decided it."""
        if isinstance(leaf, Condition):
            verdict = self._conditions[leaf.text]
            return LeafAnswer(leaf, verdict.holds, why=verdict.why)
        holds = self.holds(leaf, now)
        if isinstance(leaf, DateLeaf):
            return LeafAnswer(leaf, holds, why=self._dates[leaf].why, value=self._dates[leaf].day)
        if isinstance(leaf, ScoreGrade):
            return LeafAnswer(leaf, holds)
        if isinstance(leaf, StandingLeaf):
            return LeafAnswer(leaf, holds, why="" if holds else self._courses[leaf].standing.why)
        begin, end = self._counted(leaf, now)
        newest = max(begin, end - (NEWEST if isinstance(leaf, Aggregate) else needed(leaf)))
        facts = tuple(self._events[leaf][newest:end])
        if not isinstance(leaf, Aggregate):
            return LeafAnswer(leaf, holds, facts, end - begin)
        values = self._values[leaf]
        return LeafAnswer(
            leaf, holds, facts, end - begin, value=values.value(begin, end), left_out=values.left_out(now)
        )

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

    def moments(self, members: Members, now: datetime) -> Iterator[datetime]:
        """The moments after `now` at which membership may change, in order."""
        undecided = self._undecided(members)
        if isinstance(undecided, bool):
            return
        happen = sorted({moment for leaf in undecided for moment in self._moments_of(leaf, now) if moment > now})
        dates = [self._dates[leaf] for leaf in undecided if isinstance(leaf, DateLeaf)]
        if not dates:
            yield from happen
            return
        years = {now.year, *(moment.year for moment in happen)}
        years |= {day.year for dated in dates if not dated.leaf.yearly for day in dated.changes(())}
        around = {year + near for year in years for near in _YEARS}
        today = self._day(now)
        days = sorted({day for dated in dates for day in dated.changes(around) if day > today})
        begins = (begin for day in days if (begin := self._calendar.begins(day)) is not None and begin > now)
        yield from merge(happen, begins)

    def _undecided(self, members: Members) -> bool | list[Leaf]:
        """The leaves on which membership depends over time; what it is, where time does not change it.

        Conditions stay as they are, and so do leaves about a date that is not there, or about events that never were.
        """
        match members:
            case Condition(text):
                return self._conditions[text].holds
            case Not(part):
                inside = self._undecided(part)
                return not inside if isinstance(inside, bool) else inside
            case All(parts) | AnyOf(parts):
                deciding = isinstance(members, AnyOf)
                found = [self._undecided(part) for part in parts]
                open_parts = [leaf for part in found if not isinstance(part, bool) for leaf in part]
                return deciding if deciding in found else open_parts or not deciding
            case DateLeaf():
                return [members] if self._dates[members].day is not None else False
            case ScoreGrade():
                return members.holds(self._grades)
            case InSegment() | OnTrack() | Converted() | Consents() | Reachable():
                return False if self._courses[members].settled else [members]
            case _:
                return [members] if self._times[members] else self._without_events(members)

    def _without_events(self, leaf: EventLeaf) -> bool:
        match leaf:
            case Did():
                return leaf.times.hold(0)
            case Aggregate():
                return self._values[leaf].hold(0, 0)
        return isinstance(leaf, DidNot)

    def _moments_of(self, leaf: Leaf, now: datetime) -> Iterator[datetime]:
        """The moments at which events begin or cease to count for a leaf."""
        if isinstance(leaf, Condition | DateLeaf | ScoreGrade):
            return
        if isinstance(leaf, StandingLeaf):
            yield from self._courses[leaf].turns
            return
        times = self._times[leaf]
        spans = [leaf.before, leaf.within] if isinstance(leaf, Last | First) else [leaf.within]
        # Of the events of the past, only the newest decide: the older ones leave a window before these.
        oldest = 0 if isinstance(leaf, First | Aggregate) else max(bisect_right(times, now) - needed(leaf), 0)
        for at in times[oldest:]:
            yield at
            yield from (at + span for span in spans if span is not None)

    def _day(self, now: datetime) -> date:
        if self._today is None or self._today[0] != now:
            self._today = (now, self._calendar.day(now))
        return self._today[1]


def _ago(leaf: Last | First, at: datetime, now: datetime) -> bool:
    """Whether `at` is longer ago than `before`, and not longer ago than `within`."""
    old_enough = leaf.before is None or at <= now - leaf.before
    return old_enough and (leaf.within is None or at > now - leaf.within)
