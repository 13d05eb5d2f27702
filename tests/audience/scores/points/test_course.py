"""The course of a score tells its value at any later moment, as an evaluation at that moment would."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audience.facts import Fact, Facts
from audience.scores.document import score_from_data
from audience.scores.evaluation import decide, evaluate
from audience.scores.points import course
from audience.scores.points.course import course_from_data
from tests.audience.scores.test_evaluation import CONTACT, NOW, facts_of_anybody, scores


@given(scores, facts_of_anybody, st.lists(st.integers(0, 20 * 24 * 60), min_size=1, max_size=4))
def test_it_gives_the_value_of_every_later_moment_until_it_ends(
    written: Any, facts: list[Fact], minutes: list[int]
) -> None:
    score, known = score_from_data(written), Facts(CONTACT, facts)
    decided = decide(score, known, NOW)
    stored = course_from_data(decided.course.to_data())
    assert stored == decided.course
    for later in minutes:
        moment = NOW + timedelta(minutes=later)
        if decided.course.known_until is None or moment < decided.course.known_until:
            assert stored.value_at(moment) == pytest.approx(evaluate(score, known, moment).value, abs=1e-6)


@given(scores, facts_of_anybody, st.sampled_from([None, "warm", "hot"]))
def test_without_the_explanation_the_decision_is_the_same(written: Any, facts: list[Fact], before: str | None) -> None:
    score, known = score_from_data(written), Facts(CONTACT, facts)
    one, other = decide(score, known, NOW, before), evaluate(score, known, NOW, before)
    assert (one.value, one.grade, one.changes_at) == (other.value, other.grade, other.changes_at)


def test_of_very_many_steps_the_next_ones_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "MAX_STEPS", 3)
    rule = {"id": "r", "event": "a", "points": 1, "within": "10d"}
    score = score_from_data({"score": "s", "behaviour": [rule], "grades": {"cold": None, "hot": 99}})

    def at(hours: int) -> datetime:
        return NOW - timedelta(days=9, hours=hours)

    facts = Facts(CONTACT, [Fact(f"e{n}", "a", at(n), {}) for n in range(6)])
    found = decide(score, facts, NOW).course
    assert len(found.steps) == 3
    assert found.known_until == at(2) + timedelta(days=10)
    assert found.value_at(NOW + timedelta(days=1) - timedelta(hours=2, seconds=1)) == 3
