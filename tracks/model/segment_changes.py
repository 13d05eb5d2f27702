"""A track's rules about segments: each is about an event that Perennial makes when a contact enters or leaves one."""

from __future__ import annotations

ENTERED, LEFT = "segment.entered", "segment.left"
"""A contact entered a segment, or left it. The properties are `segment`, its name, and `version`."""


def of_segment(segment: str, where: str | None) -> str:
    """The condition for such an event to be about this segment, and `where` beside it."""
    named = f'event.properties.segment == "{segment}"'
    return named if where is None else f"{named} && ({where})"
