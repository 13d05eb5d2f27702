"""In which order processes get tests."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from tests.parallel.work import Work

names = st.lists(
    st.sampled_from(["tests/pages/a", "tests/pages/b", "tests/faults/test_outage.py::a", "tests/faults/x", "tests/y"])
)


def groups(work: Work) -> Iterator[list[int]]:
    while group := work.next_group():
        yield group


@given(names)
def test_every_test_is_given_once_with_all_that_share_something_with_it(nodeids: list[str]) -> None:
    given_out = list(groups(Work(nodeids)))
    assert sorted(place for group in given_out for place in group) == list(range(len(nodeids)))
    for group in given_out:
        if nodeids[group[0]].startswith("tests/pages/"):
            assert len(group) == sum(nodeid.startswith("tests/pages/") for nodeid in nodeids)


def test_long_tests_come_first_and_what_is_given_back_before_all() -> None:
    work = Work(["tests/y", "tests/faults/x", "tests/pages/a", "tests/pages/b"])
    assert work.next_group() == [2, 3]
    work.give_back([3])
    assert list(groups(work)) == [[3], [1], [0]]
