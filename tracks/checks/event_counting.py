"""Warn where a `wait_for` without `since` may count fewer events than its author expects.

A wait counts the events that happen after it was due to begin. Two common ways to write a counting track lose events
because of this, and nobody would notice. So publishing warns about both, unless the step sets `since`. The check reads
a track's raw data, so that it also works on a track with other mistakes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tracks.shared.yaml_source import Path
from tracks.static_analysis.built_in_events import OWN
from tracks.static_analysis.entries_in_data import entries_in
from tracks.static_analysis.flow import Flow
from tracks.static_analysis.references import WAITS
from tracks.static_analysis.steps_taking_time import lasts


def counting_doubts(data: Any) -> Iterator[tuple[Path, str]]:
    """Where a count may lose events, and what to write instead.

    - The run waits for the same event that began it. An app may report several events together, minutes after they
      happened: the first one begins the run, and the others happened before the wait began.
    - Another step of the same repeat waits too. An event that happens during that wait counts for no round.

    Perennial's own events are excluded: they are about a message of the round.
    """
    if not isinstance(data, Mapping):
        return
    flow = Flow(data.get("steps"))
    begins = [entry.get("event") for _, entry in entries_in(data)]
    at_once = set(flow.at_once(lasts))
    for path, step in flow.steps.items():
        wait = step.get("wait_for")
        if not isinstance(wait, Mapping) or "since" in wait or not _sent_by_others(wait.get("event")):
            continue
        event = wait["event"]
        if event in begins and path in at_once:
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
    """The id of another step that waits in a round of the innermost repeat around this step, or None."""
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
