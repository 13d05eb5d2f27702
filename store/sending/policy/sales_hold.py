"""When a promotional message is looked at again that waits because sales is talking to the contact."""

from __future__ import annotations

from datetime import datetime, timedelta

ASK_AGAIN = timedelta(hours=1)
"""A held message is looked at again after this time at first. An answer of sales wakes it before; this is for whatever
else may end the hold, such as another policy."""


def ask_again(end: datetime, now: datetime, since: datetime, patience: timedelta, pace: float = 1.0) -> datetime:
    """When to look at a held message again, which waits since `since` and for at most `patience`.

    The pauses double, so that a long hold costs few looks. Where the patience is over, it is the end itself.
    """
    last = since + patience
    return end if now >= last else min(end, last, now + max(ASK_AGAIN / pace, now - since))
