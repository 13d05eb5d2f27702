"""What a contact's score is at a moment, why, and until when the grade cannot change by time alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import fsum
from typing import Any, Literal

from audience.conditions import judge_contact
from audience.facts import Fact, Facts
from audience.scores.points.contributions import Constant, Contribution, Halving, Part, Switching, Whole, points_of
from audience.scores.points.course import Course, course_of, steps_of
from audience.scores.points.crossings import Curve, Range
from audience.scores.points.decay import Decaying, instant, microseconds, moment_of
from audience.scores.rules import NEVER, EventRule, FitRule, Score, While
from audience.scores.scoring_events import ScoringEvents, in_order, scoring_events
from audience.scores.tally import Counted, Held, Tally, counted, kept_small
from audience.segments.evaluation import Membership
from audience.segments.members import Members

_SLACK = 1e-6
"""Points by which a bound is trusted less than it says, because sums are rounded."""
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


@dataclass(frozen=True, slots=True)
class Decision:
    """What is computed for each event: the score without its explanation."""

    value: float
    grade: str
    changes_at: datetime | None
    course: Course


def evaluate(score: Score, facts: Facts, now: datetime, previous_grade: str | None = None) -> ScoreAnswer:
    """The score at `now`, for a contact who had that grade before (see `Grades.grade_of`).

    A condition that cannot be computed is false, as in tracks. Facts later than `now` count from their own time.
    `changes_at` is the first microsecond at which this function gives another grade for the same facts and the grade
    of this answer; its precision is told in `audience.scores.points.crossings`.
    Raises ConditionError where a condition may not be computed over this contact's data, because it is too large.
    """
    rules = _rules(score, facts, now)
    decision = decided(score, [rule.contribution for rule in rules], now, previous_grade)
    explanation = tuple(rule.answer(now) for rule in rules)
    return ScoreAnswer(
        fit=fsum(answer.points for answer in explanation if answer.part == "fit"),
        behaviour=fsum(answer.points for answer in explanation if answer.part == "behaviour"),
        value=decision.value,
        grade=decision.grade,
        changes_at=decision.changes_at,
        explanation=explanation,
        course=decision.course,
    )


def decide(score: Score, facts: Facts, now: datetime, previous_grade: str | None = None) -> Decision:
    """As `evaluate`, without the explanation, and with the tally that later events are added to."""
    rules = _rules(score, facts, now)
    tally = _tally(score, rules, instant(now))
    kept = None if tally is None else tally.to_data()
    return decided(score, [rule.contribution for rule in rules], now, previous_grade, kept)


def decided(
    score: Score,
    contributions: Sequence[Contribution],
    now: datetime,
    previous_grade: str | None,
    tally: Mapping[str, Any] | None = None,
) -> Decision:
    """The score by what its rules add. `tally` is kept with the course."""
    at = instant(now)
    parts = [one.part_at(at) for one in contributions]
    value = fsum([points_of(part, at) for part in parts])
    grade = score.grades.grade_of(value, previous_grade)
    steps = steps_of(contributions, at)
    # Only an event of the future makes decaying points jump.
    jumps = [moment for one in contributions if isinstance(one, Halving) for moment in one.jumps(at)]
    changes = _first_change(contributions, parts, score.grades.kept(grade), at, steps, jumps)
    course = course_of(parts, steps, jumps, tally)
    return Decision(value, grade, None if changes is None else moment_of(changes), course)


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule over one contact's facts."""

    id: str
    part: Literal["fit", "behaviour"]
    contribution: Contribution
    scoring: ScoringEvents | None = None
    members: tuple[Members, Facts] | None = None
    why: str = ""

    def answer(self, now: datetime) -> RuleAnswer:
        at = instant(now)
        points = points_of(self.contribution.part_at(at), at)
        if self.scoring is None:
            return RuleAnswer(self.id, self.part, points, facts=self._deciding(now), why=self.why)
        begin, end = self.contribution.counted(at)
        return RuleAnswer(
            self.id,
            self.part,
            points,
            count=end - begin,
            facts=tuple(self.scoring.events[max(begin, end - NEWEST) : end]),
            left_out=Counter(reason for event, reason in self.scoring.left_out if event.at <= now),
        )

    def _deciding(self, now: datetime) -> tuple[Fact, ...]:
        if self.members is None:
            return ()
        leaves = Membership(*self.members).leaf_answers(now)
        deciding = {fact.event_id: fact for leaf in leaves for fact in leaf.facts}
        return tuple(in_order(deciding.values())[-NEWEST:])


def _tally(score: Score, rules: Sequence[_Rule], now: int) -> Tally | None:
    """What the rules have counted; None if that does not tell what an event changes, or if it is too much."""
    fits = rules[: len(score.fit)]
    behaviour: list[Counted | Held] = []
    for rule, one in zip(score.behaviour, rules[len(score.fit) :], strict=True):
        if isinstance(rule, While):
            assert isinstance(one.contribution, Switching)
            behaviour.append(Held(one.contribution.at_first, tuple(one.contribution.changes)))
            continue
        assert one.scoring is not None
        found = counted(rule, one.contribution, one.scoring.times, now)
        if found is None:
            return None
        behaviour.append(found)
    holding = [number for number, one in enumerate(fits) if one.contribution.part_at(now)]
    return kept_small(Tally(tuple(holding), tuple(behaviour)))


def _rules(score: Score, facts: Facts, now: datetime) -> list[_Rule]:
    known = facts.once
    return [*(_fit(rule, known) for rule in score.fit), *(_behaviour(rule, known, now) for rule in score.behaviour)]


def _fit(rule: FitRule, facts: Facts) -> _Rule:
    verdict = judge_contact(rule.when, facts.contact)
    return _Rule(rule.id, "fit", Constant(float(rule.points) if verdict.holds else 0.0), why=verdict.why)


def _behaviour(rule: EventRule | While, facts: Facts, now: datetime) -> _Rule:
    if isinstance(rule, While):
        holds, moments = rule.decider.all_changes(facts, now)
        switching = Switching(float(rule.points), holds, [instant(moment) for moment in moments])
        return _Rule(rule.id, "behaviour", switching, members=(rule.members, facts))
    scoring = scoring_events(rule, facts)
    return _Rule(rule.id, "behaviour", _points_of_events(rule, scoring.times), scoring)


def _points_of_events(rule: EventRule, times: Sequence[int]) -> Contribution:
    if rule.half_life is None or rule.half_life == NEVER:
        return Whole(float(rule.points), times, None if rule.within is None else microseconds(rule.within))
    return Halving(float(rule.points), times, microseconds(rule.half_life))


def _first_change(
    contributions: Sequence[Contribution],
    parts: Sequence[Part],
    kept: Range,
    now: int,
    steps: Sequence[tuple[int, float]],
    jumps: Sequence[int],
) -> int | None:
    """The first instant at which the sum of the contributions is outside of the range: between two jumps, or at one.

    `parts` are those of now, `steps` and `jumps` what follows. Where bounds of the sum are inside of the range, it is
    not computed.
    """
    reaches = [one.reach(now) for one in contributions]
    if (
        kept.low < fsum([low for low, _ in reaches]) - _SLACK
        and fsum([high for _, high in reaches]) + _SLACK < kept.high
    ):
        return None
    constant = fsum([part for part in parts if not isinstance(part, Decaying)])
    worn = [part.value_at(now) for part in parts if isinstance(part, Decaying)]
    lowest, highest = fsum([one for one in worn if one < 0]), fsum([one for one in worn if one > 0])
    changes: Mapping[int, float] = dict(steps)
    start, first = now, True
    for end in [*sorted({*changes, *jumps}), None]:
        # What is to come of decaying points is not in these bounds: there, each sum is computed.
        inside = not jumps and kept.low < constant + lowest - _SLACK and constant + highest + _SLACK < kept.high
        if not inside:
            own = parts if first else [one.part_at(start) for one in contributions]
            constants = [part for part in own if not isinstance(part, Decaying)]
            curve = Curve(constants, [part for part in own if isinstance(part, Decaying)])
            if (found := curve.leaves(kept, start, end)) is not None:
                return found
        if end is not None:
            constant += changes.get(end, 0.0)
            start, first = end, False
    return None
