"""Grades do not flicker at their thresholds, and do not depend on how often a score is looked at."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audience.scores.grades import Grade, Grades, Passed

GRADES = Grades([Grade("cold"), Grade("warm", 40, 30), Grade("hot", 70, 55)])
values = st.integers(0, 100)


@pytest.mark.parametrize(
    ("value", "previous", "grade"),
    [
        (39, None, "cold"),
        (40, None, "warm"),
        (70, None, "hot"),
        (60, "hot", "hot"),  # between leaving and entering, the grade is kept
        (60, "warm", "warm"),
        (60, None, "warm"),
        (60, "a grade that is no more", "warm"),
        (54, "hot", "warm"),
        (35, "hot", "warm"),  # it fell through warm, and has not left that
        (35, "cold", "cold"),
        (29, "hot", "cold"),
        (90, "cold", "hot"),
    ],
)
def test_a_grade_is_entered_at_one_threshold_and_left_below_another(
    value: float, previous: str | None, grade: str
) -> None:
    assert GRADES.grade_of(value, previous) == grade


@given(values, st.sampled_from(["cold", "warm", "hot"]))
def test_a_grade_is_kept_exactly_within_its_range(value: int, previous: str) -> None:
    assert (GRADES.grade_of(value, previous) == previous) == GRADES.kept(previous).holds(value)


@given(st.lists(values, min_size=2, max_size=6), st.sampled_from(["cold", "warm", "hot"]), st.booleans())
def test_a_value_that_only_rises_or_only_falls_ends_in_the_same_grade_however_often_it_is_looked_at(
    steps: list[int], previous: str, rises: bool
) -> None:
    steps.sort(reverse=not rises)
    grade = previous
    for value in steps:
        grade = GRADES.grade_of(value, grade)
    started = GRADES.grade_of(steps[0], previous)
    assert grade == GRADES.grade_of(steps[-1], started)


@given(st.lists(values, min_size=2, max_size=20))
def test_a_value_that_moves_by_less_than_the_margin_changes_its_grade_at_most_once_a_threshold(
    steps: list[int],
) -> None:
    near = [66 + value % 9 for value in steps]  # around 70, never below 55
    grades = [GRADES.grade_of(near[0])]
    for value in near[1:]:
        grades.append(GRADES.grade_of(value, grades[-1]))
    assert sum(before != after for before, after in pairwise(grades)) <= 1


NAMES = ["cold", "warm", "hot"]


@given(st.sampled_from(NAMES), st.sampled_from(NAMES))
def test_the_grades_on_the_way_up_are_reached_and_those_on_the_way_down_are_lost(before: str, grade: str) -> None:
    passed, then, now = GRADES.passed(before, grade), NAMES.index(before), NAMES.index(grade)
    for place, name in enumerate(NAMES):
        assert (name in passed.reached) is (then < place <= now)
        assert (name in passed.lost) is (now < place <= then)


@pytest.mark.parametrize(("grade", "reached"), [("cold", ()), ("warm", ("warm",)), ("hot", ("hot",))])
def test_from_a_grade_that_is_no_more_only_the_new_one_is_reached(grade: str, reached: tuple[str, ...]) -> None:
    assert GRADES.passed("a grade that is no more", grade) == Passed(reached)
