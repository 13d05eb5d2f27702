"""Effect keys: a changed format would send messages of live runs twice, so tests pin the exact strings."""

from __future__ import annotations


def effect_key(enrollment_id: str, step: str, occurrence: int) -> str:
    """`<enrollment>/<step>/<occurrence>`: the same key for every attempt of one effect."""
    return f"{enrollment_id}/{step}/{occurrence}"
