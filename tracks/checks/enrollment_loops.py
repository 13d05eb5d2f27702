"""Find tracks that enrol each other in a circle without a pause: one contact would go round without end.

The tracks of a circle are begun by `enroll` steps, by what a message causes, or by segments and scores that read an
attribute that a `set` step of the circle writes.

The check runs when a track is published, over the newest version of every track. It cannot see what depends on a
contact's data. For these cases a minimum time between two enrollments
(`activities.effects.attributes_and_enrollments`) and the limit on messages to one address
(`store.sending.policy.send_policy`) keep the damage small.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from tracks.checks.attribute_loops import Reads, way_to, with_written
from tracks.checks.track_document import track_to_data
from tracks.conditions.conditions import ConditionError, judge
from tracks.model.entry import Entry
from tracks.model.sending import Lately
from tracks.model.track import ReentryPer, ReentryRestart, Track
from tracks.shared.yaml_source import Path
from tracks.static_analysis.built_in_events import MADE_BY_SENDING
from tracks.static_analysis.flow import Flow
from tracks.static_analysis.references import MESSAGES
from tracks.static_analysis.steps_taking_time import lasts

_NEW_EACH_TIME = ("message_id", "enrollment_id")
"""Properties of Perennial's own events whose value is new for each message: `per` one of them limits nothing."""
_NOW = datetime(2000, 1, 1, tzinfo=UTC)
"""The conditions need some value for `now`; any moment will do."""


def circle_problems(name: str, tracks: Mapping[str, Track], reads: Reads | None = None) -> Iterator[tuple[Path, str]]:
    """The steps of the track `name` that close a circle, each with a sentence that shows the circle.

    `reads` are the attributes that the segments and scores read by which these tracks are entered.
    """
    round_going = {other: track for other, track in tracks.items() if may_go_round(track)}
    quick = {other: dict(_entered_at_once(track, tracks)) for other, track in round_going.items()}
    quick = with_written(name, quick, round_going, reads or {})
    for target, path in quick.get(name, {}).items():
        way = way_to(target, name, quick)
        if way is not None:
            words = " → ".join([name, *way])
            yield (
                path,
                f"contacts would go round without a pause: {words}. Put a wait before this step, or give one of the "
                "tracks a `reentry` that does not let everybody in again at once",
            )


def may_go_round(track: Track) -> bool:
    """Whether the track's re-entry rule lets the same contact in again at once."""
    match track.reentry:
        case ReentryPer(per=name):
            return name in _NEW_EACH_TIME
        case ReentryRestart():
            return True
    return track.reentry == "always"


def _entered_at_once(track: Track, tracks: Mapping[str, Track]) -> Iterator[tuple[str, Path]]:
    """The tracks that a contact may enter at once after entering this track, with the path of the step that does it."""
    flow = Flow(track_to_data(track)["steps"])
    for path in flow.at_once(lasts):
        step = flow.steps[path]
        enroll = step.get("enroll")
        if isinstance(enroll, dict) and enroll.get("track") in tracks:
            yield enroll["track"], (*path, "enroll", "track")
        for channel in [one for verb in MESSAGES if verb in step for one in MESSAGES[verb]]:
            for event in MADE_BY_SENDING[channel]:
                yield from ((name, path) for name, other in tracks.items() if _begun_by(other, event, track, step))


def _begun_by(other: Track, event: str, track: Track, step: Mapping[str, Any]) -> bool:
    """Whether an event that follows a step's message enrols the contact into the other track.

    The answer is an estimate: the entry condition sees the event, but no data of a contact.
    """
    return any(_begun_by_entry(entry, event, track, step) for entry in other.entries if entry.event == event)


def _begun_by_entry(entry: Entry, event: str, track: Track, step: Mapping[str, Any]) -> bool:
    if isinstance(entry.unless, Lately) and entry.unless.event == event:
        return False  # `unless` excludes it: the same event has just happened
    about = {"track": track.track, "step": step.get("id"), "message_id": "m", "enrollment_id": "e"}
    context = {"event": {"event_id": "e", "name": event, "at": _NOW, "properties": about}, "now": _NOW}
    try:
        return entry.where is None or judge(entry.where, context).holds
    except ConditionError:
        return False
