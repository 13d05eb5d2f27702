"""Which events score by a rule: those of people, those that its condition means, and no more than its cap allows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from audience.conditions import judge_event
from audience.facts import Fact, Facts
from audience.scores.points.decay import instant
from audience.scores.rules import Cap, EventRule
from tracks.conditions.conditions import NO_TRACE
from tracks.runs.bot_engagement import CLASSED, heard

NOT_A_PERSON = "not a person"
"""Why an event did not score: a machine clicked or opened."""
OVER_THE_CAP = "cap"


@dataclass(frozen=True, slots=True)
class ScoringEvents:
    """The events that score, in the order of their times, and those that were left out, with the reason."""

    events: Sequence[Fact]
    left_out: Sequence[tuple[Fact, str]]
    times: Sequence[int]
    """The instants of those that score."""


def in_order(events: Iterable[Fact]) -> list[Fact]:
    """Each event once, by its time and then by its id: an order that does not depend on when they arrived."""
    once = {event.event_id: event for event in sorted(events, key=_order, reverse=True)}
    return sorted(once.values(), key=_order)


def scoring_events(rule: EventRule, facts: Facts) -> ScoringEvents:
    """The events of a contact that score by this rule; `facts` has each of them once.

    Events for which the condition is plainly false, or lacks its data, are not this rule's events and are not counted
    as left out.
    """
    events = facts.by_name.get(rule.event, ())
    if rule.where is None and rule.cap is None and rule.event not in CLASSED:
        return ScoringEvents(events, (), facts.instants.get(rule.event, ()))
    scoring: list[Fact] = []
    left_out: list[tuple[Fact, str]] = []
    for event in events:
        verdict = judge_event(rule.where, event)
        if not verdict.holds:
            reason = "" if verdict.why in NO_TRACE else verdict.why
        elif not heard(event.name, event.properties, rule.by):
            reason = NOT_A_PERSON
        elif rule.cap is not None and _full(rule.cap, scoring, event):
            reason = OVER_THE_CAP
        else:
            scoring.append(event)
            continue
        if reason:
            left_out.append((event, reason))
    return ScoringEvents(scoring, left_out, [instant(event.at) for event in scoring])


def _full(cap: Cap, scoring: Sequence[Fact], event: Fact) -> bool:
    """Whether the cap leaves no room for an event that is later than those that score.

    Any span of the length `per`, open at its beginning, has at most `most` events that score. Earlier ones come first:
    whether an event scores depends on earlier ones alone, so that nothing that happens later takes points away.
    """
    if len(scoring) < cap.most:
        return False
    return cap.per is None or scoring[-cap.most].at > event.at - cap.per


def _order(event: Fact) -> tuple[object, str]:
    return event.at, event.event_id
