"""The time to the goal counts those still under way and those who left as what they are."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from measure.journeys.time_to_goal import Course, quantile, time_to_goal

courses = st.lists(
    st.builds(Course, lasted=st.integers(1, 30).map(float), ending=st.sampled_from(["goal", "other", "under way"])),
    min_size=1,
    max_size=60,
)


@given(courses)
def test_those_under_way_are_scipys_survivors(lived: list[Course]) -> None:
    """SciPy's Kaplan-Meier estimate, with its interval by the logarithm of the logarithm."""
    ended = [course.lasted for course in lived if course.ending != "under way"]
    if not ended:
        return
    still = [course.lasted for course in lived if course.ending == "under way"]
    theirs = stats.ecdf(stats.CensoredData(uncensored=ended, right=still)).sf
    ours = time_to_goal(lived)
    at = [point.at for point in ours]
    assert [point.under_way for point in ours] == pytest.approx(list(theirs.evaluate(at)), abs=1e-12)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where nobody or everybody is left, it has no interval
        interval = theirs.confidence_interval(0.95, method="log-log")
        low, high = interval.low.evaluate(at), interval.high.evaluate(at)
    for point, its_low, its_high in zip(ours, low, high, strict=True):
        if 0 < point.under_way < 1:
            assert (point.low, point.high) == pytest.approx((its_low, its_high), abs=1e-9)


@given(courses)
def test_everybody_is_somewhere(lived: list[Course]) -> None:
    """Those who reached the goal, those who left, and those under way are all: the shares sum to one."""
    swapped = {"goal": "other", "other": "goal", "under way": "under way"}
    left = time_to_goal([Course(course.lasted, swapped[course.ending]) for course in lived])  # type: ignore[arg-type]
    for goal, other in zip(time_to_goal(lived), left, strict=True):
        assert goal.goal + other.goal + goal.under_way == pytest.approx(1.0)


@given(courses.map(lambda lived: [course for course in lived if course.ending != "under way"]))
def test_once_all_have_ended_the_share_is_the_plain_one(lived: list[Course]) -> None:
    if lived:
        share = sum(course.ending == "goal" for course in lived) / len(lived)
        assert time_to_goal(lived)[-1].goal == pytest.approx(share)


def test_a_median_is_named_only_once_half_have_arrived() -> None:
    """Four began. Two arrived on days 1 and 3, one left on day 2, one is still under way since 5 days."""
    curve = time_to_goal([Course(1, "goal"), Course(2, "other"), Course(3, "goal"), Course(5, "under way")])
    assert [(point.at, round(point.goal, 3)) for point in curve] == [(1, 0.25), (2, 0.25), (3, 0.5)]
    assert quantile(curve, 0.25) == 1
    assert quantile(curve, 0.5) == 3
    assert quantile(curve, 0.75) is None


def test_nobody_has_no_curve() -> None:
    assert time_to_goal([]) == []
    assert quantile([], 0.5) is None
