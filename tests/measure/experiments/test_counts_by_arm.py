"""Counts by arm tell whether the arms have the sizes that were intended, and how many times as often one converts."""

from __future__ import annotations

from math import exp, inf, isinf, log

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import betaln, log_expit
from scipy.stats import dirichlet_multinomial, multinomial

from measure.experiments.conversion_ratio import conversion_ratio, cost_per_incremental, incremental
from measure.experiments.dirichlet import log_e_value
from measure.experiments.sample_ratio import sample_ratio

shares = st.lists(st.integers(1, 50), min_size=2, max_size=5).map(lambda parts: [part / sum(parts) for part in parts])


@given(shares, st.data(), st.sampled_from([20.0, 100.0, 10_000.0]))
def test_the_evidence_is_the_ratio_of_scipys_two_distributions(
    wanted: list[float], data: st.DataObject, concentration: float
) -> None:
    counts = data.draw(st.lists(st.integers(0, 5_000), min_size=len(wanted), max_size=len(wanted)))
    prior = [concentration * share for share in wanted]
    by_scipy = dirichlet_multinomial.logpmf(counts, prior, sum(counts)) - multinomial.logpmf(
        counts, sum(counts), wanted
    )
    assert log_e_value(counts, wanted, concentration) == pytest.approx(float(by_scipy), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("sizes", "weights", "mismatch"),
    [
        ({"a": 50_500, "b": 49_500}, {"a": 1, "b": 1}, False),
        ({"a": 50_700, "b": 49_300}, {"a": 1, "b": 1}, True),
        ({"a": 94_700, "b": 5_300}, {"a": 95, "b": 5}, True),
        ({"a": 5_200, "b": 4_800}, {"a": 50, "b": 50}, False),
        ({"a": 52_000, "b": 48_000}, {"a": 50, "b": 50}, True),
        ({"a": 8_000, "b": 4_000}, {"a": 80, "b": 20}, True),
        ({"a": 10, "b": 990, "c": 0}, {"a": 1, "b": 99, "c": 0}, False),
        ({}, {"a": 1, "b": 1}, False),
        ({"a": 10_000}, {"a": 1}, False),
    ],
)
def test_arms_of_other_sizes_than_intended_are_seen(
    sizes: dict[str, int], weights: dict[str, float], mismatch: bool
) -> None:
    assert sample_ratio(sizes, weights).mismatch is mismatch


def test_honest_arms_are_not_called_a_mismatch_at_any_look() -> None:
    import numpy as np

    rng = np.random.default_rng(7)
    for _ in range(100):
        arms = np.cumsum(rng.random(5_000) < 0.5)
        looks = range(50, 5_000, 50)
        assert not any(
            sample_ratio({"a": int(arms[n]), "b": n + 1 - int(arms[n])}, {"a": 1, "b": 1}).mismatch for n in looks
        )


@pytest.mark.parametrize(
    ("treated", "control", "weight", "estimate", "low", "high", "p"),
    [(1425, 50, 0.95, 1.5, 0.999, 2.388, 0.0511), (600, 500, 0.5, 1.2, 0.9987, 1.443, 0.0534)],
)
def test_the_ratio_is_that_of_the_published_examples(
    treated: int, control: int, weight: float, estimate: float, low: float, high: float, p: float
) -> None:
    """Worked out with the formulas of the Python packages savvi and ssrm-test."""
    found = conversion_ratio(treated, control, weight)
    assert found.estimate == pytest.approx(estimate)
    assert (found.low, found.high, found.p) == pytest.approx((low, high, p), abs=1e-3)


@given(st.integers(1, 3_000), st.integers(1, 3_000), st.sampled_from([0.05, 0.3, 0.5, 0.95]))
def test_the_ends_are_where_another_solver_finds_them(treated: int, control: int, weight: float) -> None:
    def evidence(log_ratio: float) -> float:
        odds = log(weight / (1 - weight)) + log_ratio
        prior = [100 * weight, 100 * (1 - weight)]
        mixture = betaln(prior[0] + treated, prior[1] + control) - betaln(*prior)
        return float(mixture - treated * log_expit(odds) - control * log_expit(-odds)) - log(20)

    found = conversion_ratio(treated, control, weight)
    assert found.estimate is not None
    seen = log(found.estimate)
    assume(abs(seen) < 3)  # beyond, the other solver has no bracket
    assert log(found.low) == pytest.approx(brentq(evidence, -300, seen), abs=1e-6)
    assert log(found.high) == pytest.approx(brentq(evidence, seen, 300), abs=1e-6)


def test_no_conversion_says_nothing_and_one_sided_ones_leave_an_end_open() -> None:
    nothing = conversion_ratio(0, 0, 0.5)
    assert (nothing.estimate, nothing.low, nothing.high, nothing.p) == (None, 0.0, inf, 1.0)
    only_treated = conversion_ratio(30, 0, 0.5)
    assert only_treated.estimate is None and only_treated.low > 1 and isinf(only_treated.high)
    only_control = conversion_ratio(0, 30, 0.5)
    assert (only_control.estimate, only_control.low) == (0.0, 0.0) and only_control.high < 1


def test_incremental_conversions_are_those_beyond_what_the_control_would_have_had() -> None:
    """200 of 1,000 against 100 of 1,000: half of the treated's conversions are owed to the treatment."""
    more = incremental(200, conversion_ratio(200, 100, 0.5))
    assert more[0] == pytest.approx(100)
    assert 0 < more[1] < 100 < more[2] < 200
    most, least = cost_per_incremental(1_000.0, more)
    assert most is not None and least < 10 < most


def test_a_further_conversion_has_no_greatest_cost_where_there_may_be_none() -> None:
    most, least = cost_per_incremental(1_000.0, incremental(110, conversion_ratio(110, 100, 0.5)))
    assert most is None and 0 < least < inf
    nowhere = cost_per_incremental(1_000.0, incremental(100, conversion_ratio(100, 400, 0.5)))
    assert nowhere == (None, inf)


@pytest.mark.parametrize("bad", [([1], [1.0]), ([1, 1], [0.5, 0.6]), ([1, 1], [0.0, 1.0]), ([-1, 1], [0.5, 0.5])])
def test_what_cannot_be_compared_is_refused(bad: tuple[list[int], list[float]]) -> None:
    with pytest.raises(ValueError, match=r"shares|counts"):
        log_e_value(*bad, 100.0)


def test_the_p_value_is_the_inverse_of_the_evidence() -> None:
    found = sample_ratio({"a": 50_500, "b": 49_500}, {"a": 1, "b": 1})
    assert found.p == pytest.approx(exp(-3.3466), rel=1e-3)
    assert found.intended == {"a": 0.5, "b": 0.5}
