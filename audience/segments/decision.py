"""Whether a contact is a member, and until when, without the explanation: what is computed for each event.

It gives the same as `audience.segments.evaluation`, which explains, and takes a fraction of its time: of most leaves it
is known in closed form when they begin or cease to hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from audience.conditions import judge_contact
from audience.facts import Facts
from audience.segments.evaluation import Membership
from audience.segments.leaves import standings
from audience.segments.leaves.comparisons import Times
from audience.segments.leaves.grade_leaf import ScoreGrade
from audience.segments.leaves.standings import NOWHERE, Consents, Converted, InSegment, OnTrack, Reachable, StandingLeaf
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
from tracks.conditions.conditions import ConditionError

Course = tuple[bool, Sequence[datetime]]
"""Whether a leaf holds now, and the moments after now at which that turns, in order."""
Courses = Callable[[Facts, datetime], Course]
Truths = Sequence[bool]
"""Whether each leaf holds."""
_IN_CLOSED_FORM = Condition | Did | DidNot | Last | First | ScoreGrade | StandingLeaf


class Decider:
    """A tree, prepared once for many contacts."""

    def __init__(self, members: Members) -> None:
        self._members = members
        found = tuple(dict.fromkeys(leaves(members)))
        self._holds = _tree(members, {leaf: index for index, leaf in enumerate(found)})
        self._in_closed_form = all(isinstance(leaf, _IN_CLOSED_FORM) for leaf in found)
        self._courses = [_courses(leaf) for leaf in found] if self._in_closed_form else []

    def all_changes(self, facts: Facts, now: datetime) -> tuple[bool, Sequence[datetime]]:
        """Whether the contact is a member at `now`, and all moments at which that changes by time alone, in order.

        As `Membership.changes`. Raises ConditionError as `decide`.
        """
        if not self._in_closed_form or (facts.latest is not None and facts.latest > now):
            membership = Membership(self._members, facts)
            return membership.holds(now), list(membership.changes(now))
        member, moment = self.decide(facts, now)
        found: list[datetime] = []
        while moment is not None:
            found.append(moment)
            _, moment = self.decide(facts, moment)
        return member, found

    def judged(self, facts: Facts | None, now: datetime) -> tuple[bool, datetime | None] | None:
        """As `decide`; None for a contact who cannot be judged: too many events (no facts), or too much data."""
        with suppress(ConditionError):
            return self.decide(facts, now) if facts is not None else None
        return None

    def decide(self, facts: Facts, now: datetime) -> tuple[bool, datetime | None]:
        """Whether the contact is a member at `now`, and the earliest moment at which that changes by time alone.

        Raises ConditionError where a condition may not be computed over this contact's data, because it is too large.
        """
        if not self._in_closed_form or (facts.latest is not None and facts.latest > now):
            membership = Membership(self._members, facts)
            return membership.holds(now), next(membership.changes(now), None)
        truths: list[bool] = []
        turns: list[tuple[datetime, int]] = []
        for index, course in enumerate(self._courses):
            holds, moments = course(facts, now)
            truths.append(holds)
            turns += [(moment, index) for moment in moments]
        member = self._holds(truths)
        turns.sort()
        for number, (moment, index) in enumerate(turns):
            truths[index] = not truths[index]
            together = number + 1 < len(turns) and turns[number + 1][0] == moment
            if not together and self._holds(truths) != member:
                return member, moment
        return member, None


def _courses(leaf: Leaf) -> Courses:
    match leaf:
        case Condition(text):
            return lambda facts, now: (judge_contact(text, facts.contact).holds, ())
        case ScoreGrade():
            return lambda facts, now: (leaf.holds(facts.grades), ())
        case Did():
            return _counting(leaf.times, leaf)
        case DidNot():
            return _counting(Times("==", 0), leaf)
        case Last() | First():
            return _ago(leaf)
        case InSegment() | OnTrack() | Converted() | Consents() | Reachable():
            return _standing(leaf)
    raise TypeError(f"{leaf} has no closed form")


def _times(leaf: Did | DidNot | Last | First) -> Callable[[Facts], Sequence[datetime]]:
    """The moments of the events that a leaf is about."""
    name = event_of(leaf)
    if not leaf.looks_inside:
        return lambda facts: facts.times.get(name, ())
    return lambda facts: [fact.at for fact in facts.by_name.get(name, ()) if leaf.counts(fact)]


def _standing(leaf: StandingLeaf) -> Courses:
    def course(facts: Facts, now: datetime) -> Course:
        standing = standings.Course(leaf, facts.standings.get(leaf, NOWHERE))
        return standing.holds(now), [turn for turn in standing.turns if turn > now]

    return course


def _ago(leaf: Last | First) -> Courses:
    times, which = _times(leaf), -1 if isinstance(leaf, Last) else 0
    before, within = leaf.before or timedelta(0), leaf.within

    def course(facts: Facts, now: datetime) -> Course:
        found = times(facts)
        if not found:
            return False, ()
        begins = found[which] + before
        ends = None if within is None else found[which] + within
        turns = [turn for turn in (begins, ends) if turn is not None and turn > now]
        return begins <= now and (ends is None or ends > now), turns

    return course


def _counting(wanted: Times, leaf: Did | DidNot) -> Courses:
    """A leaf that counts. Each comparison is `at least n`, or not, or the one and not the other."""
    times, within = _times(leaf), leaf.within
    number = wanted.number
    if wanted.comparison == "==":
        enough, more = _at_least(number, within), _at_least(number + 1, within)

        def exactly(facts: Facts, now: datetime) -> Course:
            found = times(facts)
            (holds, ends), (too_many, fall) = enough(found, now), more(found, now)
            return holds and not too_many, () if ends == fall else (*fall, *ends)

        return exactly
    at_least = _at_least(number + (wanted.comparison in (">", "<=")), within)
    if wanted.comparison in (">=", ">"):
        return lambda facts, now: at_least(times(facts), now)

    def fewer(facts: Facts, now: datetime) -> Course:
        holds, ends = at_least(times(facts), now)
        return not holds, ends

    return fewer


def _at_least(number: int, within: timedelta | None) -> Callable[[Sequence[datetime], datetime], Course]:
    """`at least n` ends when the n-th newest event leaves the window."""

    def course(times: Sequence[datetime], now: datetime) -> Course:
        if number <= 0 or number > len(times):
            return number <= 0, ()
        if within is None:
            return True, ()
        ends = times[-number] + within
        return (True, (ends,)) if ends > now else (False, ())

    return course


def _tree(members: Members, index: Mapping[Leaf, int]) -> Callable[[Truths], bool]:
    match members:
        case All(parts) | AnyOf(parts):
            compiled = [_tree(part, index) for part in parts]
            deciding = isinstance(members, AnyOf)

            def group(truths: Truths) -> bool:
                for part in compiled:
                    if part(truths) is deciding:
                        return deciding
                return not deciding

            return group
        case Not(part):
            inside = _tree(part, index)
            return lambda truths: not inside(truths)
        case leaf:
            at = index[leaf]
            return lambda truths: truths[at]
