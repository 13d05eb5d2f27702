"""The result of accepting an event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from store.audience.memberships.memberships import Change
from store.runs.enrollments.enrolling_by_event import REASONS, NotEnrolled, Reason


@dataclass(frozen=True, slots=True)
class Accepted:
    """How many live enrollments can react to an event and how many it began, or why it was dropped.

    `not_enrolled` are the tracks into which it could have enrolled the contact. `segments` are the segments that the
    contact entered or left in this transaction. `merged_into` is the contact whose event it is, where the event names
    an id that was merged into that contact. `expired`: it is older than events of its name are kept. `waits_until`: it
    has no effect before that moment.
    """

    matched: int = 0
    enrolled: int = 0
    duplicate: bool = False
    erased: bool = False
    not_enrolled: tuple[NotEnrolled, ...] = ()
    segments: tuple[Change, ...] = ()
    merged_into: str | None = None
    expired: bool = False
    waits_until: datetime | None = None

    @property
    def dropped(self) -> Reason | Literal["erased", "expired"] | None:
        """Why the event had no effect although it is the entry event of a track; the first reason in `REASONS`."""
        if self.erased:
            return "erased"
        if self.expired:
            return "expired"
        if self.matched or self.enrolled or not self.not_enrolled:
            return None
        return min((one.reason for one in self.not_enrolled), key=REASONS.index)
