"""Which steps have texts that read `event`, the event that the latest wait of the run matched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tracks.model import liquid_texts
from tracks.model.steps.simple_steps import Base
from tracks.model.steps.steps import HandoffStep


def reads_event(step: Base) -> bool:
    """Whether a text of the step's own reads `event`; not of the steps within it."""
    ways = {"when_none", "accepted", "rejected", "expired"} if isinstance(step, HandoffStep) else None
    own = getattr(step, step.kind).model_dump(mode="json", exclude=ways)
    return any("{" in text and liquid_texts.reads_event(text) for text in _texts(own))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
