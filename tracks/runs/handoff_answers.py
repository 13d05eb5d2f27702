"""The events by which sales answers a handoff, and the ids that tie each of them to the one handoff it is about."""

from __future__ import annotations

from typing import Literal

ACCEPTED, REJECTED, EXPIRED = "handoff.accepted", "handoff.rejected", "handoff.expired"
"""What may happen while a handoff waits for its answer."""
RECYCLED, CONVERTED = "handoff.recycled", "handoff.converted"
"""What may become of a lead that sales has accepted."""
EVENTS = (ACCEPTED, REJECTED, EXPIRED, RECYCLED, CONVERTED)
Answer = Literal["accepted", "rejected", "expired"]


def event_of(status: str) -> str:
    """The event's name for a handoff's new status."""
    return f"handoff.{status}"


def event_id(effect_key: str, status: str) -> str:
    """The id of that event. It follows from the handoff's effect key, so the run knows its own answers by their ids."""
    return f"handoff:{effect_key}:{status}"
