"""Segments about segments are decided from the inside out, and never go round in a circle."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from audience.segments.document import segment_from_data
from audience.segments.inner_segments import circle_of, depths_of, outer_by_inner, with_outer
from audience.segments.members import triggers_of

NAMES = st.sampled_from("abcdef")
graphs = st.dictionaries(NAMES, st.sets(NAMES, max_size=3))


@given(graphs)
def test_the_circle_that_is_named_is_one_and_none_is_missed(about: dict[str, set[str]]) -> None:
    for name in "abcdef":
        reached: set[str] = set()
        ahead = [name]
        while ahead:
            fresh = about.get(ahead.pop(), set()) - reached
            reached |= fresh
            ahead += fresh
        circle = circle_of(name, about)
        assert bool(circle) == (name in reached)
        assert all(inner in about[outer] for outer, inner in pairwise(circle))


@given(graphs)
def test_a_segment_is_deeper_than_those_it_is_about_and_reached_from_them(about: dict[str, set[str]]) -> None:
    straight = {outer: {one for one in inner if one < outer} for outer, inner in about.items()}
    trees = {
        outer: segment_from_data({"segment": outer, "members": {"any": [{"in": one} for one in sorted(inner)]}}).members
        for outer, inner in straight.items()
        if inner
    }
    depths = depths_of(trees)
    known = outer_by_inner((outer, triggers_of(tree)) for outer, tree in trees.items())
    for outer in trees:
        assert all(depths[one] < depths[outer] for one in straight[outer] if one in depths)
        assert all(outer in with_outer({one}, known) for one in straight[outer])
