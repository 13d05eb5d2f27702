"""Which events score: those of people, those the condition means, and within a cap the earliest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from audience.facts import Fact, Facts
from audience.scores.rules import EventRule
from audience.scores.scoring_events import ScoringEvents, scoring_events

NOW = datetime(2026, 3, 28, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def rule(**more: Any) -> EventRule:
    return EventRule.model_validate({"id": "r", "event": "email.clicked", "points": 5, "half_life": "14d", **more})


def at(hours: int, number: int, **properties: Any) -> Fact:
    return Fact(f"e{number}", "email.clicked", NOW + hours * HOUR, properties)


def scored(rule: EventRule, facts: list[Fact]) -> ScoringEvents:
    return scoring_events(rule, Facts({}, facts).once)


def ids(rule: EventRule, facts: list[Fact]) -> list[str]:
    return [fact.event_id for fact in scored(rule, facts).events]


hours = st.lists(st.integers(0, 100), max_size=25).map(lambda drawn: [at(h, n) for n, h in enumerate(drawn)])
caps = st.fixed_dictionaries({"most": st.integers(1, 4), "per": st.sampled_from([None, "6h", "1d", "36h"])})


@given(hours, caps)
def test_within_any_span_of_a_cap_no_more_events_score_and_none_is_left_out_without_need(
    facts: list[Fact], cap: dict[str, Any]
) -> None:
    capped = rule(cap=cap)
    assert capped.cap is not None
    span = capped.cap.per or timedelta(days=1_000)
    found = scored(capped, facts)
    times = [fact.at for fact in found.events]
    for event in facts:
        inside = sum(event.at - span < time <= event.at for time in times)
        assert inside <= capped.cap.most
        if event not in found.events:
            assert inside == capped.cap.most and (event, "cap") in found.left_out
    assert len(found.events) + len(found.left_out) == len(facts)


@given(hours, caps, st.randoms(use_true_random=False))
def test_neither_the_order_of_arrival_nor_duplicates_change_what_scores(
    facts: list[Fact], cap: dict[str, Any], random: Any
) -> None:
    arrived = [*facts, *random.sample(facts, len(facts) // 2)]
    random.shuffle(arrived)
    assert ids(rule(cap=cap), arrived) == ids(rule(cap=cap), facts)


@given(hours, hours, caps)
def test_what_happens_later_takes_no_points_away(before: list[Fact], after: list[Fact], cap: dict[str, Any]) -> None:
    later = [Fact(f"later-{fact.event_id}", fact.name, fact.at + 200 * HOUR, {}) for fact in after]
    assert set(ids(rule(cap=cap), before)) <= set(ids(rule(cap=cap), [*before, *later]))


def test_only_people_score_unless_the_rule_says_otherwise() -> None:
    facts = [at(0, 0, by="scanner"), at(1, 1, by="human"), at(2, 2, by="prefetch"), at(3, 3)]
    assert ids(rule(), facts) == ["e1", "e3"]
    assert ids(rule(by="any"), facts) == ["e0", "e1", "e2", "e3"]
    assert [reason for _, reason in scored(rule(), facts).left_out] == ["not a person"] * 2
    bought = [Fact("e", "order.paid", NOW, {"by": "scanner"})]
    assert ids(rule(event="order.paid"), bought) == ["e"]


def test_an_event_that_could_not_be_judged_is_told_and_one_that_is_not_meant_is_not() -> None:
    found = scored(
        rule(where="event.properties.total > 20"),
        [at(0, 0, total=30), at(1, 1, total=10), at(2, 2), at(3, 3, total="30"), at(4, 4, total="x" * 200_000)],
    )
    assert [fact.event_id for fact in found.events] == ["e0"]
    assert [(fact.event_id, reason) for fact, reason in found.left_out] == [("e3", "type"), ("e4", "too large")]
