"""A score to which events are added one by one equals that of all its facts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from audience.facts import Fact, Facts
from audience.scores.document import score_from_data
from audience.scores.evaluation import Decision, decide
from audience.scores.increments import decide_by_tally, with_events
from audience.scores.points.decay import instant
from audience.scores.rules import Score
from audience.scores.tally import ADDED, MOST, Tally, tally_from_data
from tests.audience.scores.test_evaluation import NOW, scores

events = st.tuples(
    st.sampled_from(["order.paid", "email.clicked"]),
    st.integers(0, 30) | st.integers(0, 200),
    st.sampled_from([10, 30]),
    st.sampled_from(["human", "human", "scanner"]),
)
steps = st.lists(st.tuples(st.integers(0, 40), st.lists(events, min_size=1, max_size=3)), min_size=1, max_size=12)
other_caps = st.fixed_dictionaries({"most": st.integers(1, 3)}, optional={"per": st.sampled_from(["1d", "5d"])})


class _Kept:
    """A contact whose score is kept: by adding events where that is possible, else by all facts."""

    def __init__(self, score: Score) -> None:
        self.score, self.now = score, NOW
        self.facts = Facts({"attributes": {"plan": "team"}})
        self.decision = decide(score, self.facts, NOW)
        self.added = 0

    def live(self, hours: int, drawn: Sequence[tuple[str, int, int, str]]) -> Decision:
        """Let time pass and store events; returns what all facts give."""
        self.now += timedelta(hours=hours)
        known = len(self.facts.events)
        new = [
            Fact(f"e{known + number:03}", name, self.now - timedelta(hours=ago), {"total": total, "by": by})
            for number, (name, ago, total, by) in enumerate(drawn)
        ]
        self.facts = replace(self.facts, events=(*self.facts.events, *new))
        full = decide(self.score, self.facts, self.now, self.decision.grade)
        self.decision = self._with(sorted(new, key=lambda fact: (fact.at, fact.event_id))) or full
        return full

    def _with(self, new: Sequence[Fact]) -> Decision | None:
        tally = tally_from_data(self.score, self.decision.course.tally)
        happened, now = [(fact.name, instant(fact.at)) for fact in new], instant(self.now)
        due = self.decision.changes_at is not None and self.decision.changes_at <= self.now
        if tally is None or due or not tally.takes(self.score, happened, now):
            return None
        after = with_events(self.score, tally, new, self.facts, self.now)
        if tally.unmoved(self.score, happened, now):
            assert after is tally
        self.added += 1
        return decide_by_tally(self.score, after, self.now, self.decision.grade)


@given(scores, st.none() | other_caps, steps)
def test_after_each_step_a_tally_gives_what_a_full_evaluation_gives(
    written: dict[str, Any], cap: Any, story: list[Any]
) -> None:
    """Late events, several at once or of one moment, caps with and without a span, and time between."""
    rules = [{**rule, "cap": cap} if cap and "event" in rule else rule for rule in written["behaviour"]]
    kept = _Kept(score_from_data({**written, "behaviour": rules}))
    for hours, drawn in story:
        full, decision = kept.live(hours, drawn), kept.decision
        assert decision.value == pytest.approx(full.value, rel=1e-12, abs=1e-12)
        assert decision.grade == full.grade
        assert (decision.changes_at is None) == (full.changes_at is None)
        if decision.changes_at and full.changes_at:
            assert abs(decision.changes_at - full.changes_at) < timedelta(milliseconds=1)
        assert decision.course.steps == full.course.steps
        moment = kept.now + timedelta(days=2)
        assert decision.course.value_at(moment) == pytest.approx(full.course.value_at(moment), rel=1e-12, abs=1e-12)
    event("added" if kept.added else "never added")


def _score(**rule: Any) -> Score:
    behaviour = [{"id": "paid", "event": "order.paid", "points": 0.1, **rule}]
    return score_from_data({"score": "one", "behaviour": behaviour, "grades": {"cold": None, "warm": 1}})


def _paid(kept: _Kept, count: int) -> None:
    for _ in range(count):
        full = kept.live(1, [("order.paid", 0, 10, "human")])
        assert kept.decision.grade == full.grade


def test_a_sum_at_a_threshold_is_evaluated_from_the_facts() -> None:
    """Ten times 0.1 is 1, but not if it is added one by one."""
    kept = _Kept(_score(half_life="3650d"))
    for _ in range(10):
        full = kept.live(0, [("order.paid", 0, 10, "human")])
    assert kept.decision.grade == full.grade == "warm"
    assert kept.decision == full


def test_the_facts_are_read_again_after_many_additions() -> None:
    kept = _Kept(_score(half_life="8d"))
    _paid(kept, ADDED + 1)
    assert kept.added == ADDED
    assert kept.decision.course.tally is not None
    assert kept.decision.course.tally["added"] == 0


def test_a_tally_with_too_many_moments_is_not_kept() -> None:
    kept = _Kept(_score(within="3650d"))
    kept.live(1, [("order.paid", number % 900, 10, "human") for number in range(MOST + 1)])
    assert kept.decision.course.tally is None


def test_events_to_come_are_no_part_of_a_tally() -> None:
    kept = _Kept(_score(within="8d"))
    kept.live(1, [("order.paid", -5, 10, "human")])
    assert kept.decision.course.tally is None


def test_an_earlier_event_that_a_cap_puts_before_others_needs_the_facts() -> None:
    kept = _Kept(_score(half_life="8d", cap={"most": 1}))
    kept.live(1, [("order.paid", 0, 10, "human")])
    kept.live(1, [("order.paid", 30, 10, "human")])
    assert kept.added == 1


def test_a_tally_is_the_same_after_it_was_stored() -> None:
    kept = _Kept(_score(half_life="8d", cap={"most": 2, "per": "1d"}))
    _paid(kept, 3)
    data = kept.decision.course.tally
    tally = tally_from_data(kept.score, json.loads(json.dumps(data)))
    assert isinstance(tally, Tally)
    assert tally.to_data() == data
    assert tally_from_data(kept.score, {**(data or {}), "form": 0}) is None


def test_earlier_events_for_which_a_cap_has_only_some_room_need_the_facts() -> None:
    kept = _Kept(_score(half_life="1d", cap={"most": 2}))
    kept.live(1, [("order.paid", 0, 10, "human")])
    full = kept.live(1, [("order.paid", 50, 10, "human"), ("order.paid", 40, 10, "human")])
    assert kept.decision.value == full.value
    assert kept.added == 1
