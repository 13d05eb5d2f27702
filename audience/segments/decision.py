"""Whether a contact is a member, and until when, without the explanation: what is computed for each event.

It gives the same as `audience.segments.evaluation`, which explains, and takes a fifth of its time: for most leaves it is
known in closed form when they begin or cease to hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from audience.conditions import judge_event
from audience.facts import Fact, Facts
from audience.segments.comparisons import Times
from audience.segments.evaluation import Membership
from audience.segments.members import (
    All,
    AnyOf,
    Condition,
    Did,
    DidNot,
    First,
    Last,
    Leaf,
    Members,
    Not,
    event_of,
    leaves,
)
from tracks.conditions.conditions import judge

Truths = Sequence[bool]
"""Whether each leaf holds."""


class Course:
    """Whether a leaf holds now, and the moments after now at which that turns, in order."""

    __slots__ = ("holds", "turns")

    def __init__(self, holds: bool, turns: Sequence[datetime] = ()) -> None:
        self.holds, self.turns = holds, turns

    def at(self, moment: datetime) -> bool:
        """Whether it holds at a later moment."""
        return self.holds ^ (sum(turn <= moment for turn in self.turns) % 2 == 1)


class Decider:
    """A tree, prepared once for many contacts."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._leaves = tuple(dict.fromkeys(leaves(members)))
        self._holds = _compiled(members, {leaf: index for index, leaf in enumerate(self._leaves)})
        self._in_closed_form = all(isinstance(leaf, Condition | Did | DidNot | Last | First) for leaf in self._leaves)

    def decide(self, facts: Facts, now: datetime) -> tuple[bool, datetime | None]:
        """Whether the contact is a member at `now`, and the earliest moment at which that changes by time alone.

        Raises ConditionError where a condition may not be computed over this contact's data, because it is too large.
        """
        if not self._in_closed_form or any(fact.at > now for fact in facts.events):
            membership = Membership(self._members, facts)
            return membership.holds(now), next(membership.changes(now), None)
        by_name: dict[str, list[Fact]] = {}
        for fact in facts.events:
            by_name.setdefault(fact.name, []).append(fact)
        courses = [_course(leaf, facts.contact, by_name, now) for leaf in self._leaves]
        member = self._holds([course.holds for course in courses])
        for moment in sorted({turn for course in courses for turn in course.turns}):
            if self._holds([course.at(moment) for course in courses]) != member:
                return member, moment
        return member, None


@lru_cache(maxsize=2000)
def decider(members: Members) -> Decider:
    """The tree, prepared; each tree is prepared once."""
    return Decider(members)


def _course(leaf: Leaf, contact: Mapping[str, object], by_name: Mapping[str, list[Fact]], now: datetime) -> Course:
    if isinstance(leaf, Condition):
        return Course(judge(leaf.text, {"contact": contact}).holds)
    assert isinstance(leaf, Did | DidNot | Last | First)
    found = by_name.get(event_of(leaf), [])
    times = sorted(fact.at for fact in found if leaf.where is None or judge_event(leaf.where, fact).holds)
    match leaf:
        case Did():
            return _counted(leaf.times, times, leaf, now)
        case DidNot():
            return _counted(Times("==", 0), times, leaf, now)
    if not times:
        return Course(False)
    at = times[-1] if isinstance(leaf, Last) else times[0]
    begins = at if leaf.before is None else at + leaf.before
    ends = None if leaf.within is None else at + leaf.within
    holds = begins <= now and (ends is None or ends > now)
    return Course(holds, [turn for turn in (begins, ends) if turn is not None and turn > now])


def _counted(wanted: Times, times: Sequence[datetime], leaf: Did | DidNot, now: datetime) -> Course:
    """A leaf that counts: `at least n` ends when the n-th newest event leaves the window."""

    def at_least(number: int) -> tuple[bool, datetime | None]:
        if number <= 0 or number > len(times):
            return number <= 0, None
        if leaf.within is None:
            return True, None
        ends = times[-number] + leaf.within
        return ends > now, ends if ends > now else None

    number = wanted.number
    match wanted.comparison:
        case ">=":
            holds, end = at_least(number)
        case ">":
            holds, end = at_least(number + 1)
        case "<":
            holds, end = at_least(number)
            holds = not holds
        case "<=":
            holds, end = at_least(number + 1)
            holds = not holds
        case _:
            enough, end = at_least(number)
            more, fewer_from = at_least(number + 1)
            turns = [turn for turn in (fewer_from, end) if turn is not None]
            return Course(enough and not more, turns if len(set(turns)) == len(turns) else [])
    return Course(holds, () if end is None else (end,))


def _compiled(members: Members, index: Mapping[Leaf, int]) -> Callable[[Truths], bool]:
    match members:
        case All(parts):
            every = [_compiled(part, index) for part in parts]
            return lambda truths: all(part(truths) for part in every)
        case AnyOf(parts):
            some = [_compiled(part, index) for part in parts]
            return lambda truths: any(part(truths) for part in some)
        case Not(part):
            inside = _compiled(part, index)
            return lambda truths: not inside(truths)
        case leaf:
            return lambda truths, at=index[leaf]: truths[at]  # type: ignore[misc]
