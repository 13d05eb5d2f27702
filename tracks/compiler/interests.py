"""What can change a live run of a track: the events that it reacts to, and the attributes that its waits read."""

from __future__ import annotations

from tracks.conditions.expressions import read
from tracks.model.steps.steps import BranchStep, HandoffStep, WaitDateStep, WaitForStep
from tracks.model.track import Track
from tracks.runs.handoff_answers import ACCEPTED, REJECTED
from tracks.runs.program import Interest


def interests(track: Track) -> list[Interest]:
    """The events that a live run can react to: its goal, its exit rules, its `wait_for` and `handoff` steps."""
    found: list[Interest] = []
    if track.goal:
        found.append(Interest(event=track.goal.event, match="goal", where=track.goal.where))
    for rule in track.exits:
        event, where = rule.cause
        found.append(Interest(event=event, match=f"exit:{rule.because}", where=where))
    found.extend(
        Interest(
            event=step.wait_for.event,
            match=f"step:{step.id}",
            where=step.wait_for.where,
            of=step.wait_for.of or "",
            by=step.wait_for.by,
        )
        for step in track.walk()
        if isinstance(step, WaitForStep) and step.wait_for.event is not None
    )
    found.extend(
        Interest(event=event, match=f"step:{step.id}", of=step.id)
        for step in track.walk()
        if isinstance(step, HandoffStep)
        for event in (ACCEPTED, REJECTED)
    )
    return found


def _conditions(track: Track) -> list[str]:
    return [choice.when for step in track.walk() if isinstance(step, BranchStep) for choice in step.branch]


def event_properties(track: Track) -> set[str]:
    """The event properties that branches read inside the workflow."""
    return {
        path[2]
        for condition in _conditions(track)
        for path in read(condition).paths
        if path[:2] == ("event", "properties") and len(path) > 2
    }


def awaited_attributes(track: Track) -> tuple[str, ...]:
    """The contact's attributes that `wait_date` steps read, each once."""
    dates = [step.wait_date for step in track.walk() if isinstance(step, WaitDateStep)]
    return tuple(dict.fromkeys(date.attribute for date in dates if date.attribute is not None))
