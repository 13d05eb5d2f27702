"""Add new events to a score without reading the earlier ones, where that gives what all facts give.

A full evaluation costs as much as a contact has events. Most events change a score by themselves alone: they add points
to a sum, or take a place under a cap.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from audience.conditions import judge_event
from audience.facts import Fact, Facts
from audience.scores.evaluation import Decision, decided
from audience.scores.points.decay import instant
from audience.scores.rules import EventRule, Score, While
from audience.scores.tally import Held, Tally, kept_small, with_event
from audience.segments import probes as of_segments
from audience.segments.probes import Probe
from tracks.runs.bot_engagement import CLASSED, heard

_NEAR = 1e-6
"""Points around a threshold within which a sum of rounded sums is not trusted."""


def looks_inside(score: Score, name: str) -> bool:
    """Whether a rule about single events reads the properties of those of this name."""
    return any(
        isinstance(rule, EventRule) and rule.event == name and (rule.where is not None or name in CLASSED)
        for rule in score.behaviour
    )


def probes(score: Score, names: Collection[str]) -> list[Probe]:
    """What to read beside new events of these names: what decides the `while` rules about them."""
    concerned = (
        rule.members for rule in score.behaviour if isinstance(rule, While) and not rule.events.isdisjoint(names)
    )
    return of_segments.probes(concerned)


def with_events(score: Score, tally: Tally, events: Sequence[Fact], facts: Facts, now: datetime) -> Tally:
    """The tally with these new events, which `tally.takes` allows. The same object if they change nothing.

    `facts` are those that `probes` asks for. Raises ConditionError as `evaluate` does.
    """
    names, at = {event.name for event in events}, instant(now)
    behaviour = list(tally.behaviour)
    for number, (rule, before) in enumerate(zip(score.behaviour, tally.behaviour, strict=True)):
        if isinstance(before, Held):
            assert isinstance(rule, While)
            if not rule.events.isdisjoint(names):
                holds, changes = rule.decider.all_changes(facts, now)
                found = Held(holds, tuple([instant(moment) for moment in changes]))
                behaviour[number] = before if found == before.at(at) else found
            continue
        assert isinstance(rule, EventRule)
        for event in events:
            if event.name == rule.event and (after := with_event(rule, before, instant(event.at), at)) is not before:
                before = after if _scores(rule, event) else before
        behaviour[number] = before
    if all(one is before for one, before in zip(behaviour, tally.behaviour, strict=True)):
        return tally
    return Tally(tally.fit, tuple(behaviour), tally.added + len(events))


def decide_by_tally(score: Score, tally: Tally, now: datetime, grade: str) -> Decision | None:
    """As `decide`, by what was counted. None if the value is so near to a threshold that only the facts tell the grade.

    The moment at which the grade changes by time alone may differ from that of `decide` by the rounding of the sums.
    """
    kept = kept_small(tally)
    decision = decided(score, tally.contributions(score), now, grade, None if kept is None else kept.to_data())
    if decision.course.decaying and any(abs(decision.value - limit) < _NEAR for limit in score.grades.thresholds):
        return None
    return decision


def _scores(rule: EventRule, event: Fact) -> bool:
    """Whether an event is one that a rule means; the cap is not asked."""
    return judge_event(rule.where, event).holds and heard(event.name, event.properties, rule.by)
