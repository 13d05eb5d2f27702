"""Choose a contact's arm of a split: by weight, and always the same arm for the same contact."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Protocol


class Weighted(Protocol):
    """An arm, in the track's model or in the program."""

    @property
    def name(self) -> str: ...
    @property
    def weight(self) -> int: ...


def pick_arm(contact_id: str, track: str, step: str, arms: Sequence[Weighted]) -> int:
    """The index of the contact's arm. It depends only on the arguments, so every process chooses the same arm.

    Raises ValueError where no arm has any weight.
    """
    total = sum(arm.weight for arm in arms)
    if total <= 0:
        raise ValueError(f"split '{step}' has no arm with a weight")
    digest = sha256(f"{track}/{step}/{contact_id}".encode()).digest()
    point = int.from_bytes(digest[:8], "big") * total >> 64
    for index, arm in enumerate(arms):
        point -= arm.weight
        if point < 0:
            return index
    raise AssertionError("the point lies below the sum of the weights")
