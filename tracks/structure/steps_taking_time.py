"""Which steps are sure to take time, so that what is repeated around them cannot happen all at once.

Seen from a track's raw data, so that it works beside other mistakes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracks.structure.built_in_events import MADE_BY_SENDING

HUMAN = "human"


def lasts(step: Mapping[str, Any]) -> bool:
    """Whether nobody passes this step twice in the same moment.

    - `wait` lasts as long as it says.
    - `wait_for` takes time, or an event: one event ends a step once. What a message brings about by itself, and what
      machines do to it, is no event of somebody: in a round that sends, there is always another one.
    - `wait_until` with a time of day is passed once a day. With weekdays alone it does not wait on such a day.
    - `wait_date` is passed once for each date. It does not wait where the date is missing or has passed, unless both
      ways end the run or take time themselves.
    """
    if "wait" in step:
        return True
    if "wait_for" in step:
        return not _comes_by_itself(step["wait_for"])
    until, date = step.get("wait_until"), step.get("wait_date")
    if isinstance(until, Mapping):
        return until.get("time") is not None
    if isinstance(date, Mapping):
        return ("every" in date and _takes_time(date.get("missing"))) or all(
            _takes_time(date.get(way)) for way in ("missing", "past")
        )
    return False


def _comes_by_itself(happening: Any) -> bool:
    if not isinstance(happening, Mapping):
        return False
    by = happening.get("by", HUMAN)
    made = any(happening.get("event") in events for events in MADE_BY_SENDING.values())
    return made or (by != HUMAN and by != [HUMAN])


def _takes_time(way: Any) -> bool:
    """Whether the way of a date that is missing or past ends the run or lasts."""
    if way == "exit":
        return True
    steps = way.get("steps") if isinstance(way, Mapping) else None
    mappings = [step for step in steps if isinstance(step, Mapping)] if isinstance(steps, list) else []
    return any("exit" in step or lasts(step) for step in mappings)
