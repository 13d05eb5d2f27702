"""A contact's score as the API shows it: rule by rule, with the events that decide."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from audience.scores.evaluation import RuleAnswer, ScoreAnswer


class RuleExplanation(BaseModel):
    """What one rule adds to the score."""

    rule: str = Field(description="The rule's id.")
    part: Literal["fit", "behaviour"]
    points: float = Field(description="Its points now. They are not rounded.")
    count: int | None = Field(description="How many events give points; null for a rule that counts no events.")
    events: list[str] = Field(description="Ids of the newest events that give points, or that decide.")
    left_out: dict[str, int] = Field(description="How many events of the rule give no points, by reason.")
    why: str = Field(description="Why a condition could not be computed, such as `missing`; empty if it could.")


class ScoreExplanation(BaseModel):
    """A contact's score. The points of all rules sum to `value`."""

    contact_id: str
    judged: bool = Field(description="False if the contact has too many events, or too much data, to be judged.")
    value: float
    fit: float
    behaviour: float
    grade: str
    since: datetime | None = Field(description="Since when the contact has this grade; null in a preview.")
    changes_at: datetime | None = Field(description="When the grade changes if nothing else happens; null: never.")
    rules: list[RuleExplanation]


def explanation_of(
    contact_id: str, answer: ScoreAnswer | None, grade: str, since: datetime | None = None
) -> ScoreExplanation:
    """The explanation of an answer; None is that of a contact who cannot be judged."""
    return ScoreExplanation(
        contact_id=contact_id,
        judged=answer is not None,
        value=answer.value if answer else 0.0,
        fit=answer.fit if answer else 0.0,
        behaviour=answer.behaviour if answer else 0.0,
        grade=grade,
        since=since,
        changes_at=answer.changes_at if answer else None,
        rules=[_rule(one) for one in answer.explanation] if answer else [],
    )


def _rule(one: RuleAnswer) -> RuleExplanation:
    return RuleExplanation(
        rule=one.rule,
        part=one.part,
        points=one.points,
        count=one.count,
        events=[fact.event_id for fact in one.facts],
        left_out=dict(one.left_out),
        why=one.why,
    )
