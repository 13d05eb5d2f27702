"""Who touches a message: people, and the machines that open and click in their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

By = Literal["human", "scanner", "prefetch"]
"""`scanner` reads a message's links to judge or to preview them; `prefetch` loads ahead what a person may look at."""

EVERYBODY: tuple[By, ...] = ("human", "scanner", "prefetch")
CLASSED = ("email.clicked", "email.opened", "sms.clicked")
"""The events whose property `by` says who it was."""


def heard(event: str, properties: Mapping[str, Any], accepted: Sequence[By] = ("human",)) -> bool:
    """Whether a track that accepts these classes hears an event; one that does not say who it was is a person's."""
    return event not in CLASSED or properties.get("by", "human") in accepted
