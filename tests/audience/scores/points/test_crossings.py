"""The first microsecond at which a sum of constants and decaying points leaves a range, against looking at each one."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audience.scores.points.crossings import Curve, Range
from audience.scores.points.decay import Decaying, microseconds
from tracks.time.durations import parse_duration

points = st.floats(-100, 100).map(lambda value: round(value, 2))
# Half-lives of a few microseconds: then every moment can be looked at.
parts = st.lists(st.builds(Decaying, points, st.integers(-20, 0), st.integers(1, 60)), max_size=4)
ranges = st.tuples(points | st.just(-inf), points | st.just(inf)).filter(lambda two: two[0] < two[1])


@settings(max_examples=150)
@given(st.lists(points, max_size=2), parts, ranges, st.integers(2, 200))
@example([], [Decaying(60.0, 0, 40), Decaying(-80.0, 0, 12), Decaying(30.0, 0, 3)], (-inf, 21.0), 150)
@example([5.0], [Decaying(60.0, 0, 9), Decaying(-80.0, 0, 17), Decaying(40.0, 0, 50)], (4.0, inf), 200)
def test_it_is_the_first_of_all_microseconds(
    constants: list[float], decaying: list[Decaying], limits: tuple[float, float], end: int
) -> None:
    curve, inside = Curve(constants, decaying), Range(*limits)
    first = next((at for at in range(end) if not inside.holds(curve.value_at(at))), None)
    assert curve.leaves(inside, 0, end) == first


def test_a_sum_without_an_end_is_followed_until_nothing_is_left_of_it() -> None:
    year = microseconds(parse_duration("365d"))
    curve = Curve([40.0], [Decaying(-30.0, 0, year)])
    # In exact numbers it never reaches 40. Here it does, when the rest is less than the rounding of a float.
    found = curve.leaves(Range(-inf, 40.0), 0, None)
    assert found is not None and 50 < found / year < 60
    assert curve.value_at(found) == 40 and curve.value_at(found - 1) < 40
    assert curve.leaves(Range(-inf, 40.001), 0, None) is None
    assert Curve([40.0], [Decaying(30.0, 0, year)]).leaves(Range(40.0, inf), 0, None) is None


@pytest.mark.parametrize("half_life", ["1h", "14d", "3660d"])
@given(value=st.floats(1, 1e5), threshold=st.floats(0.5, 1e5), fit=st.integers(-1_000, 1_000))
def test_one_half_life_is_exact_to_the_microsecond(half_life: str, value: float, threshold: float, fit: int) -> None:
    curve = Curve([float(fit)], [Decaying(value, 0, microseconds(parse_duration(half_life)))])
    inside = Range(threshold + fit, inf)
    found = curve.leaves(inside, 0, None)
    if not inside.holds(curve.value_at(0)):
        assert found == 0
    else:
        assert found is not None
        assert not inside.holds(curve.value_at(found)) and inside.holds(curve.value_at(found - 1))
