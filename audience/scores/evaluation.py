"""What a contact's score is at a moment, why, and until when the grade cannot change by time alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import fsum
from typing import Literal

from audience.facts import Fact, Facts
from audience.scores.contributions import Constant, Contribution, Halving, Switching, Whole, points_of
from audience.scores.course import Course, course_of
from audience.scores.crossings import Curve, Range
from audience.scores.decay import Decaying, instant, microseconds, moment_of
from audience.scores.rules import NEVER, EventRule, FitRule, Score, While
from audience.scores.scoring_events import ScoringEvents, in_order, scoring_events
from audience.segments.evaluation import Membership
from tracks.conditions.conditions import judge

NEWEST = 3
"""Events that the explanation of a rule names."""


@dataclass(frozen=True, slots=True)
class RuleAnswer:
    """What one rule adds to the score, and by which facts."""

    rule: str
    """Its id."""
    part: Literal["fit", "behaviour"]
    points: float
    """Its points now, decayed."""
    count: int | None = None
    """How many events give points now; None for a rule that counts no events."""
    facts: tuple[Fact, ...] = ()
    """The newest events that give points, or that decide whether a `while` holds, at most `NEWEST`; oldest first."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many events of this rule gave no points, by reason: over the cap, not a person, could not be judged."""
    why: str = ""
    """For a condition over the contact that could not be computed: `missing`, `type`, …"""


@dataclass(frozen=True, slots=True)
class ScoreAnswer:
    """A contact's score, and the earliest moment at which its grade changes if nothing else happens."""

    fit: float
    behaviour: float
    value: float
    """The sum of all explanations, rounded once."""
    grade: str
    changes_at: datetime | None
    explanation: tuple[RuleAnswer, ...]
    """Each rule, in the order in which it is written, also those that add nothing."""
    course: Course
    """How the value goes on if nothing else happens."""


def evaluate(score: Score, facts: Facts, now: datetime, previous_grade: str | None = None) -> ScoreAnswer:
    """The score at `now`, for a contact who had that grade before (see `Grades.grade_of`).

    A condition that cannot be computed is false, as in tracks. Facts later than `now` count from their own time.
    `changes_at` is the first microsecond at which this function gives another grade for the same facts and the grade
    of this answer; its precision is told in `audience.scores.crossings`.
    Raises ConditionError where a condition may not be computed over this contact's data, because it is too large.
    """
    known = Facts(facts.contact, in_order(facts.events))
    at = instant(now)
    rules = [*(_fit(rule, known) for rule in score.fit), *(_behaviour(rule, known, now) for rule in score.behaviour)]
    explanation = tuple(rule.answer(now) for rule in rules)
    value = fsum(answer.points for answer in explanation)
    grade = score.grades.grade_of(value, previous_grade)
    contributions = [rule.contribution for rule in rules]
    changes = _first_change(contributions, score.grades.kept(grade), at)
    return ScoreAnswer(
        fit=fsum(answer.points for answer in explanation if answer.part == "fit"),
        behaviour=fsum(answer.points for answer in explanation if answer.part == "behaviour"),
        value=value,
        grade=grade,
        changes_at=None if changes is None else moment_of(changes),
        explanation=explanation,
        course=course_of(contributions, now),
    )


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule over one contact's facts."""

    id: str
    part: Literal["fit", "behaviour"]
    contribution: Contribution
    scoring: ScoringEvents | None = None
    deciding: tuple[Fact, ...] = ()
    why: str = ""

    def answer(self, now: datetime) -> RuleAnswer:
        at = instant(now)
        points = points_of(self.contribution.part_at(at), at)
        if self.scoring is None:
            return RuleAnswer(self.id, self.part, points, facts=self.deciding, why=self.why)
        begin, end = self.contribution.counted(at)
        return RuleAnswer(
            self.id,
            self.part,
            points,
            count=end - begin,
            facts=tuple(self.scoring.events[max(begin, end - NEWEST) : end]),
            left_out=Counter(reason for event, reason in self.scoring.left_out if event.at <= now),
        )


def _fit(rule: FitRule, known: Facts) -> _Rule:
    verdict = judge(rule.when, {"contact": known.contact})
    return _Rule(rule.id, "fit", Constant(float(rule.points) if verdict.holds else 0.0), why=verdict.why)


def _behaviour(rule: EventRule | While, known: Facts, now: datetime) -> _Rule:
    if isinstance(rule, While):
        membership = Membership(rule.members, known)
        changes = [instant(moment) for moment in membership.changes(now)]
        deciding = {fact.event_id: fact for leaf in membership.leaf_answers(now) for fact in leaf.facts}
        contribution = Switching(float(rule.points), membership.holds(now), changes)
        return _Rule(rule.id, "behaviour", contribution, deciding=tuple(in_order(deciding.values())[-NEWEST:]))
    scoring = scoring_events(rule, known.events)
    return _Rule(rule.id, "behaviour", _points_of_events(rule, scoring), scoring)


def _points_of_events(rule: EventRule, scoring: ScoringEvents) -> Contribution:
    times = [instant(event.at) for event in scoring.events]
    if rule.half_life is None or rule.half_life == NEVER:
        return Whole(float(rule.points), times, None if rule.within is None else microseconds(rule.within))
    return Halving(float(rule.points), times, microseconds(rule.half_life))


def _first_change(contributions: Sequence[Contribution], kept: Range, now: int) -> int | None:
    """The first instant at which the sum of the contributions is outside of the range: between two jumps, or at one."""
    jumps = sorted({(at, number) for number, one in enumerate(contributions) for at in one.jumps(now)})
    parts = [one.part_at(now) for one in contributions]
    start, coming = now, 0
    while True:
        end = jumps[coming][0] if coming < len(jumps) else None
        constants = [part for part in parts if not isinstance(part, Decaying)]
        curve = Curve(constants, [part for part in parts if isinstance(part, Decaying)])
        if (found := curve.leaves(kept, start, end)) is not None:
            return found
        if end is None:
            return None
        start = end
        while coming < len(jumps) and jumps[coming][0] == end:
            number = jumps[coming][1]
            parts[number] = contributions[number].part_at(end)
            coming += 1
