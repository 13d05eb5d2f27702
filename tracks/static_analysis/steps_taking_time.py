"""Which steps certainly take time, so that the rounds of a repeat around them cannot all happen at once.

Computed from a track's raw data, so that it works on a track with other mistakes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracks.static_analysis.built_in_events import MADE_BY_SENDING

HUMAN = "human"


def lasts(step: Mapping[str, Any]) -> bool:
    """Whether no run can pass this step twice at the same moment.

    - `wait` takes the time that it states. With a computed length, it does not wait where there is none.
    - `wait_for` takes time, or needs an event, and one event ends a step once. Events that a message causes by itself,
      and those that machines cause, do not count: in a round that sends, there is always another one. A condition
      does not count either: it may hold already.
    - `wait_until` with a time of day can be passed once a day. With weekdays alone it does not wait on such a day. A
      day of the run comes once: afterwards it is past.
    - `handoff` waits for an answer, or until it is due. It does not wait where nobody takes the lead, unless that way
      ends the run or takes time itself.
    - `wait_date` can be passed once for each date. It does not wait where the date is missing or past, unless both
      ways end the run or take time themselves.
    """
    if "wait" in step:
        return not isinstance(step["wait"], Mapping) or _takes_time(step["wait"].get("missing"))
    if "wait_for" in step:
        return not _comes_by_itself(step["wait_for"])
    if "handoff" in step:
        return isinstance(step["handoff"], Mapping) and _takes_time(step["handoff"].get("when_none"))
    until, date = step.get("wait_until"), step.get("wait_date")
    if isinstance(until, Mapping):
        if until.get("day") is not None:
            return _takes_time(until.get("past"))
        return until.get("time") is not None
    if isinstance(date, Mapping):
        return ("every" in date and _takes_time(date.get("missing"))) or all(
            _takes_time(date.get(way)) for way in ("missing", "past")
        )
    return False


def _comes_by_itself(happening: Any) -> bool:
    if not isinstance(happening, Mapping):
        return False
    if "condition" in happening:
        return True  # it may hold already
    by = happening.get("by", HUMAN)
    made = any(happening.get("event") in events for events in MADE_BY_SENDING.values())
    return made or (by != HUMAN and by != [HUMAN])


def _takes_time(way: Any) -> bool:
    """Whether the way for a missing or past date, or for a lead that nobody takes, ends the run or takes time."""
    if way == "exit":
        return True
    steps = way.get("steps") if isinstance(way, Mapping) else None
    mappings = [step for step in steps if isinstance(step, Mapping)] if isinstance(steps, list) else []
    return any("exit" in step or lasts(step) for step in mappings)
