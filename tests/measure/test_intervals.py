"""The intervals are those of the papers and of independent libraries, and hold the truth as often as they say."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measure.intervals import Count, difference, ratio, wilson


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_is_that_of_newcombes_table(hits: int, of: int, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3."""
    found = wilson(Count(of, hits))
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_a_difference_is_that_of_newcombes_table(
    one: tuple[int, int], other: tuple[int, int], low: float, high: float
) -> None:
    """Newcombe, Statistics in Medicine 17 (1998), 873-890, table II, method 10."""
    found = difference(Count(one[1], one[0]), Count(other[1], other[0]))
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


WILSONS: list[tuple[int, int, float, float, float]] = [
    (7, 19, 0.95, 0.19149512745135072, 0.5896046683519693),
    (250, 1000, 0.99, 0.21645462945665608, 0.2868409529950474),
    (3, 4, 0.9, 0.35616800859850634, 0.9420926788001414),
    (1, 2000, 0.95, 8.826773070546787e-05, 0.0028268625032662133),
]
DIFFERENCES: list[tuple[int, int, int, int, float, float]] = [
    (7, 34, 1, 34, 0.018921443885772937, 0.3403686870327074),
    (61, 90, 40, 88, 0.07766035960024281, 0.35610849892002067),
    (12, 250, 31, 240, -0.13360949550339926, -0.031160938257482715),
    (5, 10, 5, 10, -0.3725136238199143, 0.3725136238199143),
]
"""Computed with statsmodels 0.15.0: `proportion_confint(hits, of, 1 - level, "wilson")`, and
`confint_proportions_2indep` with `method="newcomb", compare="diff"`, and below with `method="log", compare="ratio"`."""
RATIOS: list[tuple[int, int, int, int, float, float]] = [
    (7, 34, 1, 34, 0.9096055118420763, 53.86950646414646),
    (61, 90, 40, 88, 1.1387575761258542, 1.9524896187678875),
    (12, 250, 31, 240, 0.19548048910812496, 0.7064446711483735),
    (10, 10, 3, 12, 1.5012714296527057, 10.657633046211593),
]


@pytest.mark.parametrize(("hits", "of", "level", "low", "high"), WILSONS)
def test_wilsons_interval_is_that_of_statsmodels(hits: int, of: int, level: float, low: float, high: float) -> None:
    found = wilson(Count(of, hits), level)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)


@pytest.mark.parametrize(("hits", "of", "other_hits", "other_of", "low", "high"), DIFFERENCES)
def test_a_difference_is_that_of_statsmodels(
    hits: int, of: int, other_hits: int, other_of: int, low: float, high: float
) -> None:
    found = difference(Count(of, hits), Count(other_of, other_hits))
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)


@pytest.mark.parametrize(("hits", "of", "other_hits", "other_of", "low", "high"), RATIOS)
def test_a_ratio_is_that_of_statsmodels(
    hits: int, of: int, other_hits: int, other_of: int, low: float, high: float
) -> None:
    found = ratio(Count(of, hits), Count(other_of, other_hits))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-12)


counts = st.integers(0, 300).flatmap(lambda of: st.builds(Count, st.just(of), st.integers(0, of)))


@given(counts, counts)
def test_an_interval_holds_its_estimate_and_turns_with_the_question(one: Count, other: Count) -> None:
    share, gap, turned = wilson(one), difference(one, other), difference(other, one)
    assert 0 <= share.low <= share.high <= 1
    assert not one.of or share.low <= share.estimate <= share.high
    assert gap.low <= gap.estimate <= gap.high
    assert (gap.low, gap.high) == pytest.approx((-turned.high, -turned.low))
    against = wilson(Count(one.of, one.rest))
    assert (share.low, share.high) == pytest.approx((1 - against.high, 1 - against.low))
    times, turned_times = ratio(one, other), ratio(other, one)
    assert (times is None) == (turned_times is None) == (not one.hits or not other.hits)
    if times is not None and turned_times is not None:
        assert times.low * turned_times.high == pytest.approx(1)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5])
def test_wilsons_interval_holds_the_true_share_about_as_often_as_it_says(share: float) -> None:
    """Exact, over all outcomes of a group of 40. The mean over shares is near the level; a single one may be lower."""
    size = 40
    held = sum(
        comb(size, hits) * share**hits * (1 - share) ** (size - hits)
        for hits in range(size + 1)
        if wilson(Count(size, hits)).low <= share <= wilson(Count(size, hits)).high
    )
    assert 0.92 < held < 0.99


@pytest.mark.parametrize(("of", "hits"), [(3, 4), (3, -1), (-1, 0)])
def test_more_hits_than_members_are_no_share(of: int, hits: int) -> None:
    with pytest.raises(ValueError, match="is no share"):
        Count(of, hits)
