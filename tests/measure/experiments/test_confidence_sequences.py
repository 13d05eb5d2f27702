"""A difference of two groups may be looked at after each contact, and the interval holds at all looks together."""

from __future__ import annotations

from math import inf, isinf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measure.experiments.confidence_sequences import difference, least_difference, width_factor
from measure.experiments.moments import Moments, of_count, of_sums
from measure.intervals import Count
from tests.measure.experiments.peeking import look_after_each


@pytest.mark.parametrize(
    ("treated", "control", "low", "high", "p"),
    [
        (Count(95_000, 1425), Count(5_000, 50), 0.000565, 0.009435, 0.0165),
        (Count(50_000, 600), Count(50_000, 500), -0.0000021, 0.0040021, 0.0504),
    ],
)
def test_the_interval_is_that_of_growthbooks_formula(
    treated: Count, control: Count, low: float, high: float, p: float
) -> None:
    """Worked out with the formulas of GrowthBook's `frequentist/tests.py`, which divides the variance by n."""
    found = difference(of_count(treated), of_count(control), 100_000)
    assert found.low == pytest.approx(low, abs=1.5e-6)
    assert found.high == pytest.approx(high, abs=1.5e-6)
    assert found.p == pytest.approx(p, abs=5e-5)


def test_the_width_is_least_near_the_planned_number_of_contacts() -> None:
    factors = {n: width_factor(n, 1.0) for n in (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0)}
    assert list(factors.values()) == pytest.approx([3.855, 3.264, 3.084, 3.035, 3.062, 3.127, 3.242], abs=1e-3)
    assert min(factors, key=lambda n: factors[n]) == 1.0


moments = st.builds(
    Moments,
    n=st.integers(2, 10**6),
    mean=st.floats(-1e3, 1e3),
    variance=st.floats(1e-6, 1e6),
)


@given(moments, moments, st.floats(10, 1e6), st.sampled_from([0.01, 0.05, 0.1]))
def test_p_is_below_alpha_just_where_zero_is_outside(a: Moments, b: Moments, planned: float, alpha: float) -> None:
    found = difference(a, b, planned, alpha)
    if min(abs(found.low), abs(found.high)) > 1e-9 * (abs(a.mean) + abs(b.mean) + 1):
        assert (found.p < alpha) == (found.low > 0 or found.high < 0)


@given(moments, moments, st.floats(10, 1e6))
def test_exchanged_groups_have_the_opposite_difference(a: Moments, b: Moments, planned: float) -> None:
    one, other = difference(a, b, planned), difference(b, a, planned)
    assert (one.low, one.high, one.p) == pytest.approx((-other.high, -other.low, other.p))


@given(moments, moments)
def test_one_side_is_narrower_than_two_at_the_planned_number(a: Moments, b: Moments) -> None:
    planned = a.n + b.n
    assert least_difference(a, b, planned) >= difference(a, b, planned).low


@pytest.mark.parametrize(
    ("treated", "control"),
    [((0, 0), (10, 1)), ((1, 1), (10, 1)), ((10, 0), (10, 0)), ((10, 10), (10, 10))],
)
def test_nothing_is_said_without_a_spread(treated: tuple[int, int], control: tuple[int, int]) -> None:
    found = difference(of_count(Count(*treated)), of_count(Count(*control)), 100)
    assert isinf(found.low) and isinf(found.high) and found.p == 1.0
    assert least_difference(of_count(Count(*treated)), of_count(Count(*control)), 100) == -inf


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=50))
def test_moments_are_those_of_the_values(values: list[float]) -> None:
    import numpy as np

    found = of_sums(len(values), sum(values), sum(value * value for value in values))
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert found.variance == pytest.approx(np.var(values, ddof=1), abs=1e-6)


@pytest.mark.parametrize(("weight", "rate"), [(0.5, 0.02), (0.5, 0.3), (0.9, 0.05)])
def test_few_experiments_without_an_effect_are_ever_called_one(weight: float, rate: float) -> None:
    """200 experiments looked at after each of 4,000 contacts. The whole figure is in docs/design/benchmarks.md."""
    found = look_after_each(runs=200, contacts=4_000, control_rate=rate, weight=weight, planned=4_000)
    assert found.sequence <= 0.05
    assert found.ratio <= 0.05
    assert found.ordinary > 0.25  # so that the simulation could have shown a fault


def test_the_true_effect_lies_inside_at_all_looks() -> None:
    found = look_after_each(runs=300, contacts=4_000, control_rate=0.1, treated_rate=0.13, planned=4_000)
    assert found.sequence <= 0.05
    assert found.ratio <= 0.05
