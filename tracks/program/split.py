"""Which arm of a split a contact gets: by weight, the same one every time."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Protocol


class Weighted(Protocol):
    """An arm, as the model and the program both have it."""

    @property
    def name(self) -> str: ...
    @property
    def weight(self) -> int: ...


def pick_arm(contact_id: str, track: str, step: str, arms: Sequence[Weighted]) -> int:
    """The index of the contact's arm. Depends on nothing but the arguments, so any process agrees.

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
