"""Outcomes corrected by what was known before exposure have less noise and the same difference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from measure.experiments.cuped import Sums, adjusted
from measure.experiments.moments import of_sums


def sums(x: np.ndarray, y: np.ndarray) -> Sums:
    return Sums(len(x), *(float(value) for value in (y.sum(), y @ y, x.sum(), x @ x, x @ y)))


@given(st.integers(0, 10_000), st.integers(20, 300), st.integers(20, 300), st.floats(-2, 2), st.floats(-3, 3))
def test_the_difference_is_that_of_a_regression_on_arm_and_earlier_value(
    seed: int, n: int, m: int, effect: float, slope: float
) -> None:
    """The corrected difference is the arm's coefficient by least squares (analysis of covariance), here NumPy's."""
    rng = np.random.default_rng(seed)
    x, arm = rng.normal(5, 2, n + m), np.repeat([1.0, 0.0], [n, m])
    y = 3 + effect * arm + slope * x + rng.normal(0, 1, n + m)
    coefficients, *_ = np.linalg.lstsq(np.column_stack([np.ones(n + m), arm, x]), y, rcond=None)
    found, _ = adjusted({"treated": sums(x[:n], y[:n]), "control": sums(x[n:], y[n:])})
    assert found["treated"].mean - found["control"].mean == pytest.approx(coefficients[1], abs=1e-8)


def test_the_variance_falls_by_the_square_of_the_correlation() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(0, 1, 4_000)
    y = x + rng.normal(0, 1, 4_000)  # a correlation of 1/sqrt(2)
    groups = {"treated": sums(x[:2000], y[:2000]), "control": sums(x[2000:], y[2000:])}
    found, fell = adjusted(groups)
    assert fell == pytest.approx(0.5, abs=0.03)
    for name, one in groups.items():
        assert found[name].variance == pytest.approx(of_sums(one.n, one.y, one.yy).variance * (1 - fell), rel=0.08)


def test_what_was_the_same_for_all_before_corrects_nothing() -> None:
    x, y = np.full(10, 4.0), np.arange(10.0)
    found, fell = adjusted({"treated": sums(x[:5], y[:5]), "control": sums(x[5:], y[5:])})
    assert fell == 0.0
    assert found["control"] == of_sums(5, 35.0, 255.0)


def test_an_empty_group_stays_empty() -> None:
    x = np.arange(6.0)
    found, _ = adjusted({"treated": sums(x, x * 2), "control": Sums(0, 0, 0, 0, 0, 0)})
    assert found["control"].n == 0
