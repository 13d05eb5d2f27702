"""Whether a track may count fewer events than its author thinks: what a `wait_for` without a look-back does not see.

An event counts for a wait since the wait was due to begin. Two natural ways to write a programme that counts lose
events by that, and nobody would notice: both are said at publishing, unless `since` is spelled out. Seen from a track's
raw data, so that it works beside other mistakes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tracks.shared.yaml_source import Path
from tracks.structure.built_in_events import OWN
from tracks.structure.flow import Flow
from tracks.structure.references import WAITS
from tracks.structure.steps_taking_time import lasts


def counting_doubts(data: Any) -> Iterator[tuple[Path, str]]:
    """Where events may be lost to a count, and what to write.

    - The event that begins the run is the one that the run then waits for. Apps tell several at once, minutes after
      they happened: the first begins the run, and the others happened before that.
    - A round of a repeat waits elsewhere too: what happens meanwhile counts for no round.

    Perennial's own events are about a message of the round, and meant for it.
    """
    if not isinstance(data, Mapping):
        return
    flow, entry = Flow(data.get("steps")), data.get("entry")
    begins = entry.get("event") if isinstance(entry, Mapping) else None
    at_once = set(flow.at_once(lasts))
    for path, step in flow.steps.items():
        wait = step.get("wait_for")
        if not isinstance(wait, Mapping) or "since" in wait or not _sent_by_others(wait.get("event")):
            continue
        event = wait["event"]
        if event == begins and path in at_once:
            yield (
                (*path, "wait_for"),
                f"where several '{event}' are told together, the first begins the run, and what happened before that "
                "does not count; to count it, write since: enrollment; if it should not count, since: step",
            )
        elif (other := _waits_elsewhere(flow, path, event)) is not None:
            yield (
                (*path, "wait_for"),
                f"a '{event}' that happens while a round waits at step '{other}' counts for no round; to count it, "
                "write since: enrollment; if it should not count, since: step",
            )


def _sent_by_others(event: Any) -> bool:
    return isinstance(event, str) and event not in OWN


def _waits_elsewhere(flow: Flow, path: Path, event: str) -> str | None:
    """The id of another step that waits in a round of the innermost repeat around a step."""
    if "repeat" not in path:
        return None
    around = path[: len(path) - path[::-1].index("repeat")]
    for other, step in flow.steps.items():
        if (
            other != path
            and other[: len(around)] == around
            and path in flow.after(other)
            and any(verb in step and not _waits_for(step, event) for verb in WAITS)
        ):
            return str(step.get("id"))
    return None


def _waits_for(step: Mapping[str, Any], event: str) -> bool:
    wait = step.get("wait_for")
    return isinstance(wait, Mapping) and wait.get("event") == event
