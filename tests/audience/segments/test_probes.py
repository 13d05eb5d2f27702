"""Only some events are read to decide about segments: they decide as all events would."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from audience.facts import Fact, Facts
from audience.segments.document import segment_from_data
from audience.segments.evaluation import evaluate
from audience.segments.probes import Probe, probes
from tests.audience.segments.any_segment import CONTACT, NOW, anything, facts_of_anybody


def probed(asked: list[Probe], facts: list[Fact]) -> list[Fact]:
    """What a database would return for these probes."""
    found: dict[str, Fact] = {}
    for probe in asked:
        named = [fact for fact in facts if fact.name == probe.event]
        in_window = [fact for fact in named if probe.within is None or fact.at > NOW - probe.within]
        ordered = sorted(in_window, key=lambda fact: fact.at, reverse=not probe.oldest)
        for fact in ordered[: probe.most]:
            found[fact.event_id] = fact
    return list(found.values())


@settings(max_examples=80, deadline=None)
@given(st.lists(anything, min_size=1, max_size=3), facts_of_anybody)
def test_probed_events_decide_as_all_events_do(written: list[Any], facts: list[Fact]) -> None:
    trees = [segment_from_data({"segment": "any", "members": members}).members for members in written]
    past = [fact for fact in facts if fact.at <= NOW]
    for tree in trees:
        answer = evaluate(tree, Facts(CONTACT, probed(probes(trees), past)), NOW)
        assert (answer.member, answer.changes_at) == (
            evaluate(tree, Facts(CONTACT, past), NOW).member,
            evaluate(tree, Facts(CONTACT, past), NOW).changes_at,
        )


def test_probes_of_one_event_are_merged_and_without_a_condition_few_events_are_read() -> None:
    tree = segment_from_data(
        {
            "segment": "s",
            "members": {"all": [{"did": "a", "times": ">= 3", "within": "7d"}, {"did_not": "a", "within": "1d"}]},
        }
    ).members
    assert probes([tree]) == [Probe("a", False, 4, timedelta(days=7), False)]
    parts = [{"first": "b", "before": "1d"}, {"did": "a", "where": "event.name == 'x'"}]
    conditional = segment_from_data({"segment": "s", "members": {"any": parts}}).members
    assert probes([conditional]) == [Probe("b", True, 1, None, False), Probe("a", False, None, None, True)]
