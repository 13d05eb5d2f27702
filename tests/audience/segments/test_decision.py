"""The short way decides as the explaining way does."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from audience.facts import Fact, Facts, Standing
from audience.segments.decision import Decider
from audience.segments.document import segment_from_data
from audience.segments.evaluation import evaluate
from audience.segments.members import standings_of
from tests.audience.segments.any_segment import (
    CONTACT,
    NOW,
    Stood,
    anything,
    facts_of_anybody,
    kind_of,
    standings_of_anybody,
)


@settings(max_examples=120, deadline=None)
@given(anything, facts_of_anybody, standings_of_anybody)
def test_both_ways_give_the_same(members: Any, facts: list[Fact], stood: Stood) -> None:
    tree = segment_from_data({"segment": "any", "members": members}).members
    standings = {leaf: Standing(stood.get(kind_of(leaf), [])) for leaf in standings_of(tree)}
    for events in (facts, [fact for fact in facts if fact.at <= NOW]):
        known = Facts(CONTACT, events, standings=standings)
        answer = evaluate(tree, known, NOW)
        assert Decider(tree).decide(known, NOW) == (answer.member, answer.changes_at)
