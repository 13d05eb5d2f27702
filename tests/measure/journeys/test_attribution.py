"""Each model divides a conversion among the messages before it, and the books close."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measure.journeys.attribution import Model, Touch, credit, divided

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
touches = st.lists(
    st.builds(
        Touch,
        at=st.integers(-20 * 24, 24).map(lambda hours: NOON + timedelta(hours=hours)),
        message_id=st.sampled_from("abcdef"),
    ),
    max_size=12,
)
models = st.sampled_from(get_args(Model))


@given(touches, models, st.integers(-10_000, 10_000))
def test_the_books_close(met: list[Touch], model: Model, amount: int) -> None:
    """Whatever the model: all of a conversion is credited, or none of it where no touch is within the window."""
    shares = credit(met, NOON, model, window=WEEK)
    within = {touch.message_id for touch in met if NOON - WEEK <= touch.at <= NOON}
    assert sum(shares.values()) == (1 if within else 0)
    assert set(shares) <= within
    assert sum(divided(amount, shares).values()) == (amount if within else 0)


@given(touches, models, st.integers(0, 10_000))
def test_a_refund_takes_back_what_its_purchase_gave(met: list[Touch], model: Model, amount: int) -> None:
    shares = credit(met, NOON, model, window=WEEK)
    back = divided(-amount, shares)
    assert back == {key: -value for key, value in divided(amount, shares).items()}


@given(touches, models)
def test_the_order_in_which_touches_are_told_says_nothing(met: list[Touch], model: Model) -> None:
    assert credit(met, NOON, model, window=WEEK) == credit(met[::-1], NOON, model, window=WEEK)


@pytest.mark.parametrize(
    ("model", "shares"),
    [
        ("last", {"c": Fraction(1)}),
        ("first", {"a": Fraction(1)}),
        ("linear", {"a": Fraction(1, 3), "b": Fraction(1, 3), "c": Fraction(1, 3)}),
        ("position", {"a": Fraction(2, 5), "b": Fraction(1, 5), "c": Fraction(2, 5)}),
        # One and two half-lives before the last: 1/4, 1/2 and 1, of 7/4.
        ("decay", {"a": Fraction(1, 7), "b": Fraction(2, 7), "c": Fraction(4, 7)}),
    ],
)
def test_each_model_does_what_its_name_says(model: Model, shares: dict[str, Fraction]) -> None:
    met = [Touch(NOON - timedelta(days=days), name) for days, name in ((5, "a"), (3, "b"), (1, "c"))]
    assert credit(met, NOON, model, window=WEEK, half_life=timedelta(days=2)) == shares


def test_touches_at_one_moment_are_ordered_by_their_ids() -> None:
    assert credit([Touch(NOON, "b"), Touch(NOON, "a")], NOON, "last", window=WEEK) == {"b": Fraction(1)}


def test_units_that_are_left_over_go_to_the_largest_remainders() -> None:
    third = Fraction(1, 3)
    assert divided(100, {"a": third, "b": third, "c": third}) == {"a": 34, "b": 33, "c": 33}
    assert divided(100, {"a": Fraction(1, 8), "b": Fraction(7, 8)}) == {"a": 13, "b": 87}
