"""Which events of a contact have to be read to decide about segments: for most leaves only the newest few."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import NamedTuple

from audience.segments.leaves.aggregates import Aggregate
from audience.segments.members import ContactLeaf, Did, DidNot, First, Members, event_of, leaves, needed


class Probe(NamedTuple):
    """Events of one name to read.

    `oldest`: begin with the oldest event, else with the newest. `most` is how many; None: all. `within` is how far
    back; None: ever. `properties`: whether a leaf looks into the events.
    """

    event: str
    oldest: bool
    most: int | None
    within: timedelta | None
    properties: bool


def probes(trees: Iterable[Members], *, spare: int = 0, whole: bool = False) -> list[Probe]:
    """The probes that decide about all of these trees, now and as time passes; one per event and direction.

    `spare`: read so many more of the newest events, to decide also about moments before those. `whole`: read all events
    that the leaves are about, for explanations that count them.
    """
    return merged(probe for tree in trees for probe in _probes(tree, spare, whole))


def merged(asked: Iterable[Probe]) -> list[Probe]:
    """Probes that read all that these ask for; one per event and direction."""
    found: dict[tuple[str, bool], Probe] = {}
    for one in asked:
        other = found.get((one.event, one.oldest))
        found[one.event, one.oldest] = one if other is None else _both(one, other)
    return list(found.values())


def _probes(tree: Members, spare: int, whole: bool) -> Iterator[Probe]:
    for leaf in leaves(tree):
        if isinstance(leaf, ContactLeaf):
            continue
        within = leaf.within if isinstance(leaf, Did | DidNot | Aggregate) else None
        looks_inside = isinstance(leaf, Aggregate) or leaf.looks_inside
        if whole or isinstance(leaf, Aggregate) or looks_inside:
            yield Probe(event_of(leaf), False, None, within, looks_inside)
        else:
            yield Probe(event_of(leaf), isinstance(leaf, First), needed(leaf) + spare, within, False)


def _both(one: Probe, other: Probe) -> Probe:
    return Probe(
        one.event,
        one.oldest,
        None if one.most is None or other.most is None else max(one.most, other.most),
        None if one.within is None or other.within is None else max(one.within, other.within),
        one.properties or other.properties,
    )
