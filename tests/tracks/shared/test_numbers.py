"""Numbers in attributes: read from texts, added exactly."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.shared.numbers import add, number_of

CENTS = st.integers(-(10**12), 10**12)


@given(st.integers(-(2**61), 2**61), st.integers(-(2**61), 2**61))
def test_whole_numbers_stay_whole(before: int, amount: int) -> None:
    assert add(before, amount) == before + amount
    assert add(str(before), amount) == before + amount, "a score that an older track has written as a text"
    assert type(add(before, amount)) is int
    assert number_of(f" {before}\n") == before


@given(CENTS, CENTS)
def test_amounts_with_cents_add_as_people_add_them(before: int, amount: int) -> None:
    first, second = Decimal(before) / 100, Decimal(amount) / 100
    assert add(float(first), float(second)) == float(first + second)


def test_nothing_there_counts_as_nothing() -> None:
    assert (add(None, 10), add(None, -2.5)) == (10, -2.5)


@pytest.mark.parametrize(
    "value", ["", "abc", "1,5", "12 EUR", "0x10", "1_000", "nan", "inf", "1e999", "٣", True, [1], {"a": 1}, 2**63]
)
def test_what_is_no_number_is_said(value: Any) -> None:
    with pytest.raises(ValueError, match=r"is not a number|does not fit 64 bits"):
        number_of(value)


def test_a_sum_too_large_to_be_kept_is_refused() -> None:
    for before, amount in ((2**63 - 1, 1), (1.7e308, 1.7e308)):
        with pytest.raises(ValueError, match="does not fit 64 bits"):
            add(before, amount)
