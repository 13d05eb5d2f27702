"""The text of a salesperson's task: what the lead did and got, and its scores. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from store.people.handoffs.lead_facts import LeadFacts

PROPERTIES_AT_MOST = 3
LONGEST_VALUE = 60
RULES_AT_MOST = 4
_TECHNICAL = frozenset(("message_id", "enrollment_id", "handoff_id", "by", "version"))
"""Properties that tell a person nothing."""


def summary_of(facts: LeadFacts) -> str:
    """The facts in lines, the newest first."""
    lines: list[str] = []
    for name, score in (facts.scores or {}).items():
        lines.append(f"Score {name}: {_score(score)}")
    lines.append("What the contact did:" if facts.events else "The contact has done nothing that is known.")
    lines += [f"- {_when(did.occurred_at)} {did.name}{_details(did.properties)}" for did in facts.events]
    if facts.messages:
        lines.append("What the contact got:")
    for got in facts.messages:
        delivery = f", {got.delivery}" if got.delivery else ""
        lines.append(f"- {_when(got.claimed_at)} {got.channel} {got.track}/{got.step}{delivery}")
    return "\n".join(lines)


def _when(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _score(score: Any) -> str:
    """The grade, the value, and the rules that add most."""
    told: Mapping[str, Any] = score if isinstance(score, Mapping) else {"value": score}
    points = sorted((told.get("points") or {}).items(), key=lambda one: -abs(one[1]))[:RULES_AT_MOST]
    why = ", ".join(f"{rule} {added:+.1f}" for rule, added in points if added)
    parts = [str(told["grade"])] if told.get("grade") else []
    return " ".join([*parts, f"({told.get('value', 0):.1f})"]) + (f": {why}" if why else "")


def _details(properties: Mapping[str, Any]) -> str:
    shown = [
        f"{name}: {value}"
        for name, value in properties.items()
        if name not in _TECHNICAL and isinstance(value, str | int | float) and len(str(value)) <= LONGEST_VALUE
    ][:PROPERTIES_AT_MOST]
    return f" ({', '.join(shown)})" if shown else ""
