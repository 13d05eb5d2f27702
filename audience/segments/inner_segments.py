"""Segments that are about other segments: which have to be decided first, and circles among them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from audience.segments.members import Members, inner_segments
from audience.segments.standings import cause


def with_outer(found: set[str], triggers: Iterable[tuple[str, Collection[str]]]) -> set[str]:
    """These segments and all that are about them, directly or through others. `triggers` are those of each segment;
    a segment may occur more than once, with each of its versions."""
    outer: dict[str, set[str]] = defaultdict(set)
    for segment, events in triggers:
        for event in events:
            outer[event].add(segment)
    reached, ahead = set(found), list(found)
    while ahead:
        fresh = outer[cause("in", ahead.pop())] - reached
        reached |= fresh
        ahead += fresh
    return reached


def depths_of(trees: Mapping[str, Members]) -> Mapping[str, int]:
    """How many segments stand below each one; a segment's depth is larger than that of those it is about."""
    depths: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in depths:
            depths[name] = 0  # a circle, which publishing refuses, must not go on for ever
            depths[name] = 1 + max((depth(inner) for inner in inner_segments(trees[name]) if inner in trees), default=0)
        return depths[name]

    for name in trees:
        depth(name)
    return depths


def circle_of(name: str, about: Mapping[str, Collection[str]]) -> list[str]:
    """The shortest way from a segment back to itself, by what each segment is about; empty if there is none."""
    ways = [[name]]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        for inner in sorted(about.get(way[-1], ())):
            if inner == name:
                return [*way, name]
            if inner not in seen:
                seen.add(inner)
                ways.append([*way, inner])
    return []
