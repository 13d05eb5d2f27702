"""Check that the parts of a track fit together: ids, references to ids, and whether runs can reach each step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tracks.conditions.expressions import read
from tracks.model.values import STEP_ID
from tracks.shared.problems import meant
from tracks.shared.yaml_source import Path
from tracks.static_analysis.entries_in_data import entries_in, name_of_entry
from tracks.static_analysis.flow import Flow
from tracks.static_analysis.steps_taking_time import lasts

Found = Iterator[tuple[Path, str]]
"""The path, and what is wrong there."""

RESERVED_IDS = ("step", "enrollment")
MAX_STEPS = 500
"""The most steps of a track: every run carries the program, so it has to stay small."""
MESSAGES = {"email": ("email",), "sms": ("sms",), "send": ("email", "sms")}
"""The verbs that send a message, and the channels that each may use."""
WAITS = ("wait", "wait_until", "wait_date", "wait_for", "handoff")

_NO_TIME = (
    "a round of this repeat may take no time, so that all rounds would happen at once: weekdays without a time do not "
    "wait on such a day, a missing or past date, day or length does not wait, nor does a condition that holds already, "
    "and another way may have no wait; add a wait, or a time"
)


_PROPERTIES = {
    "date": ("attribute", "date"),
    "segment": ("segment", "version"),
    "score": ("score", "version", "from", "to"),
}
"""The properties of the events by which such entries enrol."""


def reference_problems(data: dict[str, Any]) -> Found:
    """All wrong references in a track's data. Malformed parts are ignored here; other checks report them."""
    flow = Flow(data.get("steps"))
    if len(flow.steps) > MAX_STEPS:
        yield (("steps",), f"the track has {len(flow.steps)} steps; at most {MAX_STEPS} are allowed")
        return
    ids: dict[str, Path] = {}
    for path, step in flow.steps.items():
        yield from _identity(path, step, ids)
    for path in flow.unreachable():
        yield path, "no run can come here: every way before it ends in an exit"
    yield from _rules(data, flow, ids)
    for path, step in flow.steps.items():
        yield from _step(path, step, data, flow, ids)


def entry_doubts(data: Any) -> Found:
    """Entries that may enrol fewer than their author expects.

    - An event that is both the entry and an exit: it ends the run of an enrolled contact and begins no new one.
    - A date that comes every year, in a track that each contact enters once.
    - A date, a segment or a score, in a track with one run for each value of a property, which only events have.
    """
    if not isinstance(data, dict):
        return
    rule = data.get("reentry", "never")
    for path, entry in entries_in(data):
        date = entry.get("date")
        if rule == "never" and isinstance(date, dict) and date.get("yearly") is True:
            yield (*path, "date"), "the date comes every year, and each contact enters once; write reentry: always"
        for kind in _PROPERTIES:
            if kind in entry and isinstance(rule, dict) and "per" in rule and rule["per"] not in _PROPERTIES[kind]:
                words = f"has no property '{rule['per']}' for reentry: {{per: …}}, so it enrols nobody"
                yield (*path, kind), f"{kind}: {words}; write a track of its own for it"
    events = {entry["event"] for _, entry in entries_in(data) if isinstance(entry.get("event"), str)}
    reentry, exits = data.get("reentry", "never"), data.get("exits")
    if not events or reentry == "never" or (isinstance(reentry, dict) and reentry.get("restart")):
        return
    for index, rule in enumerate(exits if isinstance(exits, list) else []):
        if isinstance(rule, dict) and (event := rule.get("event")) in events:
            words = f"'{event}' ends a live run and begins no new one; to begin one, write reentry: {{restart: true}}"
            yield ("exits", index, "event"), words


def _entry_names(data: dict[str, Any]) -> Found:
    """Entries that `enrollment.entry` could not tell apart."""
    seen: set[str] = set()
    for path, entry in entries_in(data):
        name = name_of_entry(entry)
        if name in seen:
            yield path, f"two entries are called '{name}'; give this one an id: of its own, for enrollment.entry"
        elif name is not None:
            seen.add(name)


def _identity(path: Path, step: dict[str, Any], ids: dict[str, Path]) -> Found:
    step_id = step.get("id")
    if not isinstance(step_id, str) or not re.match(STEP_ID, step_id):
        return
    if step_id in RESERVED_IDS:
        yield ((*path, "id"), f"the id '{step_id}' has a meaning of its own in `since`; choose another")
    elif step_id in ids:
        yield ((*path, "id"), f"the id '{step_id}' is taken already by an earlier step; ids are unique in a track")
    else:
        ids[step_id] = path


def _rules(data: dict[str, Any], flow: Flow, ids: dict[str, Path]) -> Found:
    goal = data.get("goal")
    exits = data.get("exits")
    reentry = data.get("reentry")
    if isinstance(reentry, dict) and reentry.get("restart") is True and not data.get("entry"):
        yield ("reentry", "restart"), "only an entry event begins a run anew, and this track has no `entry`"
    yield from _entry_names(data)
    rules: list[tuple[Path, Any]] = [(("goal",), goal)]
    rules += [(("exits", index), rule) for index, rule in enumerate(exits if isinstance(exits, list) else [])]
    for path, rule in rules:
        if isinstance(rule, dict) and isinstance(rule.get("where"), str):
            yield from _steps_read(rule["where"], (*path, "where"), None, flow, ids)


def _step(path: Path, step: dict[str, Any], data: dict[str, Any], flow: Flow, ids: dict[str, Path]) -> Found:
    wait = step.get("wait_for")
    if isinstance(wait, dict):
        if isinstance(wait.get("where"), str):
            yield from _steps_read(wait["where"], (*path, "wait_for", "where"), path, flow, ids)
        since = wait.get("since", "step")
        if isinstance(since, str) and since not in RESERVED_IDS:
            yield from _earlier(since, (*path, "wait_for", "since"), path, flow, ids)
        if isinstance(wait.get("of"), str):
            yield from _message_of(wait, (*path, "wait_for", "of"), path, flow, ids)
    choices = step.get("branch")
    for index, choice in enumerate(choices) if isinstance(choices, list) else ():
        if isinstance(choice, dict) and isinstance(choice.get("when"), str):
            here = (*path, "branch", index, "when")
            yield from _steps_read(choice["when"], here, path, flow, ids)
            yield from _event_read(choice["when"], here, path, flow)
    if "break" in step and "repeat" not in path:
        yield ((*path, "break"), "there is no repeat around this step that it could leave")
    body = step.get("repeat")
    if isinstance(body, dict) and body.get("steps"):
        inside = [other for other in flow.steps if other[: len(path) + 1] == (*path, "repeat")]
        if not any(verb in flow.steps[other] for other in inside for verb in WAITS):
            yield (path, "the repeat has no wait inside: all its rounds would happen at once")
        elif flow.round_at_once(path, lasts):
            yield (path, _NO_TIME)
    enroll = step.get("enroll")
    reentry = data.get("reentry")
    if (
        isinstance(enroll, dict)
        and enroll.get("track") == data.get("track")
        and not (isinstance(reentry, dict) and "per" in reentry)
    ):
        yield ((*path, "enroll", "track"), "a track cannot enrol into itself while it runs; use repeat, or reentry")


def _earlier(step_id: str, where: Path, here: Path, flow: Flow, ids: dict[str, Path]) -> Found:
    if step_id not in ids:
        yield (where, f"there is no step '{step_id}'" + meant(step_id, [*ids, *RESERVED_IDS]))
    elif here not in flow.after(ids[step_id]):
        yield (where, f"step '{step_id}' cannot come before this one on any way through the track")


def _message_of(wait: dict[str, Any], where: Path, here: Path, flow: Flow, ids: dict[str, Path]) -> Found:
    """Check `of`: it must name an earlier step that sends, and whose message such an event can be about."""
    step_id, event = wait["of"], wait.get("event")
    if step_id not in ids:
        yield where, f"there is no step '{step_id}'" + meant(step_id, list(ids))
        return
    yield from _earlier(step_id, where, here, flow, ids)
    channels = {channel for verb in MESSAGES if verb in flow.steps[ids[step_id]] for channel in MESSAGES[verb]}
    if not channels:
        yield where, f"step '{step_id}' sends no message"
    elif _to_somebody_else(flow.steps[ids[step_id]]):
        yield where, f"the message of step '{step_id}' goes to somebody else: what they do is no event of the contact"
    elif isinstance(event, str) and event.partition(".")[0] not in channels:
        yield where, f"the event '{event}' is never about the message of step '{step_id}'"


def _steps_read(condition: str, where: Path, here: Path | None, flow: Flow, ids: dict[str, Path]) -> Found:
    """Check `enrollment.steps.<id>` in a condition; `here` is the step that has the condition, if any."""
    for path in sorted(read(condition).paths):
        if path[:2] != ("enrollment", "steps") or len(path) < 3:
            continue
        step_id = path[2]
        if step_id in ids and here is not None:
            yield from _earlier(step_id, where, here, flow, ids)
        elif step_id not in ids:
            dashed = next((name for name in ids if re.match(rf"{re.escape(step_id)}-", name)), None)
            right = f'; write enrollment.steps["{dashed}"]' if dashed else meant(step_id, list(ids))
            yield where, f"there is no step '{step_id}'{right}"


def _event_read(condition: str, where: Path, here: Path, flow: Flow) -> Found:
    """Check `event` in a branch: that of the latest `wait_for` or `handoff`, with only the properties that it names."""
    paths = [path for path in read(condition).paths if path[0] == "event"]
    if not paths:
        return
    if not any(waits_for_event(step) and here in flow.after(at) for at, step in flow.steps.items()):
        yield where, "reads `event`, but no wait_for or handoff comes before this branch"
    if ("event",) in paths or ("event", "properties") in paths:
        yield where, "must name the properties it reads, such as event.properties.plan"


def _to_somebody_else(step: dict[str, Any]) -> bool:
    return any(isinstance(message := step.get(verb), dict) and "to" in message for verb in ("email", "sms"))


def waits_for_event(step: dict[str, Any]) -> bool:
    """Whether a step waits for an event, also for the answer of sales, which `event` is afterwards."""
    if "handoff" in step:
        return True
    wait = step.get("wait_for")
    return wait is not None and not (isinstance(wait, dict) and "condition" in wait)
