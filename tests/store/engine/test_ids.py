"""Ids sort by their time of creation, also if the clock goes back."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.engine.ids import is_id, new_id

MS = 1_000_000


def test_an_id_is_a_uuid_of_version_7_with_the_time_it_was_made() -> None:
    before = time.time_ns() // MS
    made = uuid.UUID(new_id())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= time.time_ns() // MS + 1
    assert is_id(str(made))


@given(st.lists(st.sampled_from([0, 1, 100, 300, MS, 5 * MS, -MS, -3_600_000 * MS]), max_size=30))
def test_ids_of_one_process_are_in_order_though_the_clock_stands_still_or_is_set_back(steps: list[int]) -> None:
    now, made = time.time_ns() - 1_000 * MS, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.time_ns", lambda: now)
        for step in steps:
            now += step
            made.append(new_id())
    assert made == sorted(set(made))


def test_threads_never_make_the_same_id() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: new_id(), range(5_000)))
    assert len(set(made)) == len(made)
