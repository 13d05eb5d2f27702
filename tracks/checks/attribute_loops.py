"""Find tracks that begin each other by writing attributes: one sets an attribute, and a segment or a score that reads
it enrols into the other.

A segment enrols those who enter it, so for a circle they have to leave it too. Tracks that always write the same value
cannot make a contact do both: only tracks that write different values of an attribute, or a computed one, can.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from tracks.checks.track_document import track_to_data
from tracks.model.entry import Entry
from tracks.model.track import Track
from tracks.shared.yaml_source import Path
from tracks.static_analysis.flow import Flow
from tracks.static_analysis.steps_taking_time import lasts


class Cause(NamedTuple):
    """A segment or a score by which a track is entered."""

    kind: Literal["segment", "score"]
    name: str


Reads = Mapping[Cause, frozenset[str] | None]
"""The attributes that each segment and score reads, also through others; None: it may read any."""
Quick = Mapping[str, Mapping[str, Path]]
"""For each track, the tracks that a contact may enter at once after it, with the path of the step that does it."""
_COMPUTED = "computed"


class _Write(NamedTuple):
    """A `set` step that a run reaches without waiting writes an attribute."""

    attribute: str
    value: str
    path: Path


class _Edge(NamedTuple):
    """A track writes attributes that a cause reads by which the other track is entered."""

    track: str
    other: str
    cause: Cause
    path: Path


def causes_of(track: Track) -> set[Cause]:
    """The segments and scores by which a track is entered."""
    return {cause for entry in track.entries if (cause := _cause(entry)) is not None}


def with_written(name: str, quick: Quick, tracks: Mapping[str, Track], reads: Reads) -> dict[str, dict[str, Path]]:
    """The same ways from track to track, and those by attributes that are in a circle through the track `name`."""
    writes = {one: list(_writes_at_once(track)) for one, track in tracks.items()}
    edges = [
        _Edge(track, other, cause, written[0].path)
        for other, entered in tracks.items()
        for cause in sorted(causes_of(entered))
        for track, all_writes in writes.items()
        if (written := [one for one in all_writes if _concerns(one, reads.get(cause, frozenset()))])
        # By itself alone, a track goes round only if its own values differ. With others, the way leads through them.
        and (track != other or _turns(cause, all_writes, reads))
    ]
    while True:
        joined = _joined(quick, edges)
        within = {one for one in tracks if way_to(name, one, joined) and way_to(one, name, joined)}
        inside = [write for one in within for write in writes[one]]
        kept = [edge for edge in edges if {edge.track, edge.other} <= within and _turns(edge.cause, inside, reads)]
        if len(kept) == len(edges):
            return joined
        edges = kept


def way_to(start: str, end: str, quick: Quick) -> list[str] | None:
    """The names of the tracks on the way from `start` to `end`, both included, or None where there is no way."""
    ways, seen = [[start]], {start}
    for way in ways:
        if way[-1] == end:
            return way
        for following in quick.get(way[-1], {}):
            if following not in seen:
                seen.add(following)
                ways.append([*way, following])
    return None


def _joined(quick: Quick, edges: Collection[_Edge]) -> dict[str, dict[str, Path]]:
    joined = {track: dict(following) for track, following in quick.items()}
    for edge in edges:
        joined.setdefault(edge.track, {}).setdefault(edge.other, edge.path)
    return joined


def _turns(cause: Cause, writes: Collection[_Write], reads: Reads) -> bool:
    """Whether these writes together can let a contact enter what the cause means, and leave it again."""
    values: dict[str, set[str]] = {}
    for write in writes:
        if _concerns(write, reads.get(cause, frozenset())):
            values.setdefault(write.attribute, set()).add(write.value)
    return any(len(found) > 1 or _COMPUTED in found for found in values.values())


def _concerns(write: _Write, read: frozenset[str] | None) -> bool:
    return read is None or write.attribute in read


def _cause(entry: Entry) -> Cause | None:
    if entry.segment is not None:
        return Cause("segment", entry.segment)
    return Cause("score", entry.score) if entry.score is not None else None


def _writes_at_once(track: Track) -> Iterator[_Write]:
    flow = Flow(track_to_data(track)["steps"])
    for path in flow.at_once(lasts):
        changes = flow.steps[path].get("set")
        if isinstance(changes, dict):
            for attribute, value in changes.get("attributes", {}).items():
                yield _Write(attribute, _value(value), (*path, "set"))
            for kind in ("add", "numbers"):
                yield from (_Write(attribute, _COMPUTED, (*path, "set")) for attribute in changes.get(kind, {}))


def _value(value: Any) -> str:
    """The value as a text that differs where values do."""
    written = json.dumps(value, sort_keys=True)
    return _COMPUTED if "{{" in written or "{%" in written else written
