"""The result of accepting an event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from store.audience.memberships.memberships import Change
from store.runs.enrollments.enrolling_by_event import REASONS, NotEnrolled, Reason


@dataclass(frozen=True, slots=True)
class Accepted:
    """How many live enrollments can react to an event and how many it began, or why it was dropped.

    `not_enrolled` are the tracks into which it could have enrolled the contact. `segments` are the segments that the
    contact entered or left in this transaction. `merged_into` is the contact whose event it is, where the event names
    an id that was merged into that contact.
    """

    matched: int = 0
    enrolled: int = 0
    duplicate: bool = False
    erased: bool = False
    not_enrolled: tuple[NotEnrolled, ...] = ()
    segments: tuple[Change, ...] = ()
    merged_into: str | None = None

    @property
    def dropped(self) -> Reason | Literal["erased"] | None:
        """Why the event had no effect although it is the entry event of a track; the first reason in `REASONS`."""
        if self.erased:
            return "erased"
        if self.matched or self.enrolled or not self.not_enrolled:
            return None
        return min((one.reason for one in self.not_enrolled), key=REASONS.index)
