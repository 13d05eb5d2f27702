"""Whether a promotional message waits because sales is talking to the contact: no two voices at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tracks.policy.sales import Hold

WITH_SALES = "with sales"
"""The reason of a message that waits, or is skipped, because of a handoff."""
ASK_AGAIN = timedelta(hours=1)
"""A held message is looked at again after this time at first, because sales may reject the lead before it is due."""

HANDOFFS = """
    (SELECT jsonb_agg(jsonb_build_array(o.status, o.due_at, o.answered_at)) FROM handoff o
     WHERE o.contact_id = e.contact_id AND o.status IN ('waiting', 'accepted'))
"""
"""SQL for the handoffs of the contact of the enrollment `e` that `held_until` reads."""


def held_until(
    hold: Hold | None, track: str, handoffs: Sequence[Sequence[Any]] | None, now: datetime, pace: float = 1.0
) -> datetime | None:
    """Until when messages of the track are held (real time); None if they are not.

    A lead is with sales until the handoff is due, and after an answer of `accepted` for the policy's time.
    """
    if hold is None or not handoffs or not hold.covers(track):
        return None
    ends = [
        datetime.fromisoformat(due) if status == "waiting" else datetime.fromisoformat(at) + hold.after_accepted / pace
        for status, due, at in handoffs
    ]
    end = max(ends)
    return end if end > now else None


def ask_again(end: datetime, now: datetime, since: datetime, patience: timedelta, pace: float = 1.0) -> datetime:
    """When to look at a held message again, which waits since `since` and for at most `patience`.

    The pauses double, so that a long hold costs few looks. Where the patience is over, it is the end itself.
    """
    last = since + patience
    return end if now >= last else min(end, last, now + max(ASK_AGAIN / pace, now - since))
