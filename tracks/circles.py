"""Tracks that enrol each other in a circle without time: one contact would go round as fast as machines can.

Looked for when a track is published, over all tracks that would then be the newest. What only data can tell is left to
the floor between two enrolments (`store.enrolling`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tracks.document import track_to_data
from tracks.flow import Flow
from tracks.lasting import lasts
from tracks.model import Track
from tracks.source import Path

MADE_BY_SENDING = {
    "email": ("email.delivered", "email.bounced"),
    "sms": ("sms.sent", "sms.delivered", "sms.failed"),
}
"""The events that follow a message by themselves: a track that one of them begins is entered by whoever sends."""
_CHANNELS = {"email": ("email",), "sms": ("sms",), "send": ("email", "sms")}


def circle_problems(name: str, tracks: Mapping[str, Track]) -> Iterator[tuple[Path, str]]:
    """The steps of the track `name` that close a circle, each with the circle in words."""
    quick = {other: dict(_entered_at_once(track, tracks)) for other, track in tracks.items() if _again(track)}
    for target, path in quick.get(name, {}).items():
        way = _way(target, name, quick)
        if way is not None:
            words = " → ".join([name, *way])
            yield (
                path,
                f"contacts would go round without a pause: {words}. Put a wait before this step, or give one of the "
                "tracks another `reentry` than always",
            )


def _again(track: Track) -> bool:
    """Whether nothing but time between two entries keeps the same contact from entering once more."""
    return track.reentry == "always"


def _entered_at_once(track: Track, tracks: Mapping[str, Track]) -> Iterator[tuple[str, Path]]:
    """The tracks that a contact may be in the moment after they entered this one, with the step that does it."""
    flow = Flow(track_to_data(track)["steps"])
    for path in flow.at_once(lasts):
        step = flow.steps[path]
        enroll = step.get("enroll")
        if isinstance(enroll, dict) and enroll.get("track") in tracks:
            yield enroll["track"], (*path, "enroll", "track")
        made = {
            event
            for verb, channels in _CHANNELS.items()
            if verb in step
            for one in channels
            for event in MADE_BY_SENDING[one]
        }
        for name, other in tracks.items():
            if other.entry is not None and other.entry.where is None and other.entry.event in made:
                yield name, path


def _way(start: str, end: str, quick: Mapping[str, Mapping[str, Path]]) -> list[str] | None:
    """The tracks from `start` to `end`, both named, or None where there is no way."""
    ways, seen = [[start]], {start}
    for way in ways:
        if way[-1] == end:
            return way
        for following in quick.get(way[-1], {}):
            if following not in seen:
                seen.add(following)
                ways.append([*way, following])
    return None
