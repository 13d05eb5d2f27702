"""Segments that are about other segments: which have to be decided first, and circles among them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from audience.segments.leaves.standings import cause
from audience.segments.members import Members, inner_segments


def outer_by_inner(triggers: Iterable[tuple[str, Collection[str]]]) -> Mapping[str, set[str]]:
    """The segments that are about each segment. `triggers` are those of each version, with the segment's name."""
    prefix = cause("in")
    outer: dict[str, set[str]] = {}
    for segment, events in triggers:
        for event in events:
            if event.startswith(prefix):
                outer.setdefault(event.removeprefix(prefix), set()).add(segment)
    return outer


def with_outer(found: set[str], outer: Mapping[str, set[str]]) -> set[str]:
    """These segments and all that are about them, directly or through others."""
    reached, ahead = set(found), list(found) if outer else []
    while ahead:
        fresh = outer.get(ahead.pop(), set()) - reached
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
