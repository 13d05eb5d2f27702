"""Which attributes of a contact a segment reads."""

from __future__ import annotations

from collections.abc import Iterable

from audience.segments.leaves.dates import DateLeaf
from audience.segments.members import Condition, Members, leaves
from tracks.conditions.expressions import read


def of_members(members: Members) -> frozenset[str] | None:
    """The attributes that a tree reads by itself, without those of the segments and scores that it is about. None: it
    may read any."""
    found: set[str] = set()
    conditions = []
    for leaf in leaves(members):
        if isinstance(leaf, DateLeaf):
            found.add(leaf.date)
        elif isinstance(leaf, Condition):
            conditions.append(leaf.text)
    named = of_conditions(conditions)
    return None if named is None else named | found


def of_conditions(conditions: Iterable[str]) -> frozenset[str] | None:
    """The attributes that conditions over a contact read. None: they may read any."""
    found: set[str] = set()
    for condition in conditions:
        for path in read(condition).paths:
            if path[:2] == ("contact", "attributes") and len(path) > 2:
                found.add(path[2])
            elif path in (("contact",), ("contact", "attributes")):
                return None
    return frozenset(found)
