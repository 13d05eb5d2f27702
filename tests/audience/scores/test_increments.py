"""A score to which events are added one by one equals that of all its facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from audience.facts import Fact, Facts
from audience.scores.decay import instant
from audience.scores.document import score_from_data
from audience.scores.evaluation import decide
from audience.scores.increments import decide_by_tally, with_events
from audience.scores.tally import tally_from_data
from tests.audience.scores.test_evaluation import NOW, scores

steps = st.lists(
    st.tuples(
        st.sampled_from(["order.paid", "email.clicked"]),
        st.integers(0, 30) | st.integers(0, 200),
        st.sampled_from([10, 30]),
        st.sampled_from(["human", "human", "scanner"]),
    ),
    min_size=1,
    max_size=14,
)
lasting_caps = st.fixed_dictionaries({"most": st.integers(1, 3)}, optional={"per": st.sampled_from(["1d", "5d"])})


@given(scores, st.none() | lasting_caps, st.lists(st.integers(0, 40), min_size=1, max_size=14), steps)
def test_after_each_event_a_tally_gives_what_a_full_evaluation_gives(
    written: dict[str, Any], cap: Any, waits: list[int], drawn: list[Any]
) -> None:
    """Late events, events of one moment, caps with and without a span, and time between."""
    rules = [{**rule, "cap": cap} if cap and "event" in rule else rule for rule in written["behaviour"]]
    score = score_from_data({**written, "behaviour": rules})
    facts, now, grade = Facts({"attributes": {"plan": "team"}}), NOW, None
    kept: Any = decide(score, facts, now).course.tally
    for number, (name, hours_ago, total, by) in enumerate(drawn):
        now += timedelta(hours=waits[number % len(waits)])
        fact = Fact(f"e{number:02}", name, now - timedelta(hours=hours_ago), {"total": total, "by": by})
        facts = replace(facts, events=(*facts.events, fact))
        full = decide(score, facts, now, grade)
        tally = tally_from_data(score, kept)
        if tally is None or not tally.takes(score, [(name, instant(fact.at))], instant(now)):
            event("all facts are needed")
            kept, grade = full.course.tally, full.grade
            continue
        event("added")
        after = with_events(score, tally, [fact], facts, now)
        decision = decide_by_tally(score, after, now, grade or score.grades.all[0].name)
        if decision is None:
            kept, grade = full.course.tally, full.grade
            continue
        assert decision.value == pytest.approx(full.value, rel=1e-12, abs=1e-12)
        assert decision.grade == full.grade
        assert (decision.changes_at is None) == (full.changes_at is None)
        if decision.changes_at and full.changes_at:
            assert abs(decision.changes_at - full.changes_at) < timedelta(milliseconds=1)
        assert decision.course.steps == full.course.steps
        moment = now + timedelta(days=2)
        assert decision.course.value_at(moment) == pytest.approx(full.course.value_at(moment), rel=1e-12, abs=1e-12)
        kept, grade = after.to_data(), decision.grade
