"""Points that lose half of their worth in each half-life: one value and its moment stand for all events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audience.scores.points.decay import LAST, Decaying, decaying, instant, microseconds, moment_of

DAY = microseconds(timedelta(days=1))
FORTNIGHT = 14 * DAY


def test_ten_points_and_ten_a_week_later_are_twelve_after_two_weeks() -> None:
    # Computed apart, with 10 · 2^-1 + 10 · 2^-0.5 and h · log2.
    both = decaying(10, [0, 7 * DAY], FORTNIGHT)
    assert both.value_at(14 * DAY) == pytest.approx(12.0711, abs=5e-5)
    falls_to_eight = both.reaches(8)
    assert falls_to_eight is not None and falls_to_eight / DAY == pytest.approx(22.3087, abs=5e-5)


given_points = st.lists(st.tuples(st.integers(-1_000, 1_000), st.integers(0, 400 * DAY)), min_size=1, max_size=30)
half_lives = st.integers(DAY // 24, 365 * DAY)


@given(given_points, half_lives, st.randoms(use_true_random=False), st.integers(0, 400 * DAY))
def test_events_in_any_order_give_the_sum_over_all_of_them(
    given_points: list[tuple[int, int]], half_life: int, random: object, later: int
) -> None:
    arrived = list(given_points)
    random.shuffle(arrived)  # type: ignore[attr-defined]
    kept = Decaying(arrived[0][0], arrived[0][1], half_life)
    for points, at in arrived[1:]:
        kept = kept.plus(points, at)
    moment = max(at for _, at in given_points) + later
    plain = sum(points * 0.5 ** ((moment - at) / half_life) for points, at in given_points)
    size = sum(abs(points) * 0.5 ** ((moment - at) / half_life) for points, at in given_points)
    assert kept.value_at(moment) == pytest.approx(plain, abs=1e-12 * size + 1e-300)


@given(st.floats(0.01, 1e6), st.floats(0.01, 1e6), st.sampled_from([1, -1]), half_lives)
def test_the_moment_of_a_threshold_is_told_beforehand(
    value: float, threshold: float, sign: int, half_life: int
) -> None:
    points = Decaying(sign * value, 0, half_life)
    found = points.reaches(sign * threshold)
    if value < threshold:
        assert found is None
    else:
        assert found is not None
        assert points.value_at(round(found)) == pytest.approx(sign * threshold, rel=1e-9)


@pytest.mark.parametrize("threshold", [0.0, -5.0, 11.0])
def test_points_never_reach_nothing_nor_the_other_side_nor_more_than_they_are(threshold: float) -> None:
    assert Decaying(10, 0, DAY).reaches(threshold) is None


def test_points_of_long_ago_are_nothing_and_no_error() -> None:
    assert Decaying(1_000, instant(datetime.min.replace(tzinfo=UTC)), 1_000_000).value_at(LAST) == 0


@given(st.datetimes(timezones=st.just(UTC)))
def test_moments_are_kept_to_the_microsecond(moment: datetime) -> None:
    assert moment_of(instant(moment)) == moment
