"""The short way decides as the explaining way does."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from audience.facts import Fact, Facts
from audience.segments.decision import Decider
from audience.segments.document import segment_from_data
from audience.segments.evaluation import evaluate
from tests.audience.segments.test_evaluation import CONTACT, NOW, anything, facts_of_anybody


@settings(max_examples=120, deadline=None)
@given(anything, facts_of_anybody)
def test_both_ways_give_the_same(members: Any, facts: list[Fact]) -> None:
    tree = segment_from_data({"segment": "any", "members": members}).members
    for known in (facts, [fact for fact in facts if fact.at <= NOW]):
        answer = evaluate(tree, Facts(CONTACT, known), NOW)
        assert Decider(tree).decide(Facts(CONTACT, known), NOW) == (answer.member, answer.changes_at)
