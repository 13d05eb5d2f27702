"""Conditions of segments and scores: CEL over the contact, or over one event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from audience.facts import Fact
from tracks.conditions.conditions import ConditionError, Verdict, check
from tracks.conditions.expressions import read
from tracks.conditions.verdicts_by_values import judge_by_values
from tracks.model.score_changes import GRADED
from tracks.model.segment_changes import ENTERED, LEFT
from tracks.model.values import EventName, wrong

YES = Verdict(True)
TOO_LARGE = "too large"
"""Why a condition could not be computed over an event: there is too much data, or it would take too much work."""


def _over(name: str) -> AfterValidator:
    """A condition over one variable. `now` is for the windows: otherwise nobody knows when the answer changes."""

    def judge_text(value: str) -> str:
        problems = [*check(value, (name,))]
        paths = {path[:2] for path in read(value).paths}
        for computed, leaf in (("segments", "{in: vip}"), ("scores", "{score: lead, grade: hot}")):
            if ("contact", computed) in paths:
                problems.append(f"segments and scores cannot read contact.{computed}; segments have the leaf {leaf}")
        if problems:
            raise wrong("; ".join(problems))
        return value

    return AfterValidator(judge_text)


ContactCondition = Annotated[str, _over("contact")]
"""CEL over `contact`."""
EventCondition = Annotated[str, _over("event")]
"""CEL over one `event`. It cannot see the contact: a changed attribute would change what has happened."""


def judge_contact(condition: str, contact: Mapping[str, Any]) -> Verdict:
    """As `judge` over the contact. A verdict is kept for others with the same values in what the condition reads."""
    return judge_by_values(condition, "contact", contact)


def _from_outside(name: str) -> str:
    if name in (ENTERED, LEFT):
        raise wrong("segments and scores cannot be about entering or leaving segments")
    if name == GRADED:
        raise wrong("segments and scores cannot be about a change of a grade; a segment can have {score: …, grade: …}")
    return name


Happening = Annotated[EventName, AfterValidator(_from_outside)]
"""The name of an event that does not itself follow from segments."""


def judge_event(where: str | None, fact: Fact) -> Verdict:
    """Whether an event is one of those that a rule or a leaf means. Never raises: see `TOO_LARGE`."""
    if where is None:
        return YES
    event = {"event_id": fact.event_id, "name": fact.name, "at": fact.at, "properties": fact.properties}
    try:
        return judge_by_values(where, "event", event)
    except ConditionError:
        return Verdict(False, TOO_LARGE)
