"""Cursors are opaque, are valid only for the list that they were made for, and cannot be forged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.pagination import Cursors
from api.http.problems import ProblemError

cursors = Cursors("a secret of thirty-two characters")
filters = st.lists(st.none() | st.text(), max_size=4)
positions = st.lists(st.text() | st.integers(), min_size=1, max_size=3)


@given(filters, positions)
def test_a_cursor_gives_its_position_back(listing: list[str | None], position: list[str | int]) -> None:
    assert cursors.read(listing, cursors.make(listing, position)) == position


@given(filters, filters, positions)
def test_a_cursor_of_another_list_is_refused(
    one: list[str | None], other: list[str | None], position: list[str | int]
) -> None:
    if one != other:
        with pytest.raises(ProblemError) as caught:
            cursors.read(other, cursors.make(one, position))
        assert caught.value.errors[0].parameter == "cursor"


@given(st.text())
def test_an_invented_cursor_is_refused(text: str) -> None:
    with pytest.raises(ProblemError):
        cursors.read(["enrollments"], text)


def test_a_cursor_of_another_secret_is_refused() -> None:
    with pytest.raises(ProblemError):
        cursors.read(["enrollments"], Cursors("another").make(["enrollments"], ["1"]))


def test_the_first_page_has_no_position() -> None:
    assert cursors.read(["enrollments"], None) is None
