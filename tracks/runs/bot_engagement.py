"""Who clicked or opened a message: a person, or a machine that did it automatically."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

By = Literal["human", "scanner", "prefetch"]
"""`scanner` follows a message's links to check or preview them; `prefetch` loads content before a person sees it."""

EVERYBODY: tuple[By, ...] = ("human", "scanner", "prefetch")
CLASSED = ("email.clicked", "email.opened", "sms.clicked")
"""The events whose property `by` tells who caused them."""


def heard(event: str, properties: Mapping[str, Any], accepted: Sequence[By] = ("human",)) -> bool:
    """Whether a track that accepts these classes reacts to an event. An event without `by` counts as a person's."""
    return event not in CLASSED or properties.get("by", "human") in accepted
