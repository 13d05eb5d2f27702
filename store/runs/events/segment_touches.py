"""What events and runs mean for segments: whom they concern, and by which causes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from audience.segments.leaves.standings import cause
from store.audience.fresh_events import FreshEvent
from store.audience.memberships.memberships import Touch


class Stored(NamedTuple):
    """An event that was stored just now: whether a segment or a score is about it, and whether it made its contact."""

    contact_id: str
    event_id: str
    name: str
    at: datetime
    moves: bool
    scores: bool
    made: bool


def by_events(stored: Iterable[Stored]) -> dict[str, Touch]:
    """The touch of each contact; an empty one for those whose events no segment is about."""
    touched: dict[str, Touch] = {}
    for one in stored:
        known = touched.get(one.contact_id, Touch())
        names, fresh = known.events, known.fresh
        if one.moves or one.scores:
            names, fresh = names | {one.name}, (*fresh, FreshEvent(one.event_id, one.name, one.at))
        created, scored = known.created or one.made, known.scored or one.scores
        touched[one.contact_id] = Touch(names, created=created, scored=scored, fresh=fresh)
    return touched


def by_runs(tracks: Mapping[str, Collection[str]]) -> dict[str, Touch]:
    """The touch of each contact who began or ended runs of these tracks."""
    return {who: Touch(frozenset(cause("on", track) for track in names)) for who, names in tracks.items()}
