"""Detect machines from several touches of one message: too soon, too many, or together with the hidden link."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from api.tracking.bot_requests import Verdict
from store.sending.feedback.engagement import Touch
from tracks.shared.link_tokens import DECOY

BURST = timedelta(seconds=10)
"""Longest time span of one burst of touches."""
MANY = 3
"""A person does not follow so many different links in one burst. In a message with two links, two are too many."""
REPEAT = timedelta(minutes=1)
"""The same link again within this time is the same click."""


def judge(
    touch: Touch,
    around: Sequence[Touch],
    *,
    links: int,
    reached_at: datetime,
    soon: timedelta,
    burst: timedelta = BURST,
) -> Verdict:
    """Decide who made a touch, from the touches `around` it (at most `burst` apart).

    `links` is the number of links in the message. `reached_at` is the earliest time at which the recipient can have had
    it; a click less than `soon` after it is a machine's. If the request alone already showed a machine, this verdict
    stays.
    """
    if touch.by != "human":
        return Verdict(touch.by, touch.why)
    if touch.kind == "click" and touch.at - reached_at < soon:
        return Verdict("scanner", "too soon")
    clicks = [other for other in (touch, *around) if other.kind == "click" and abs(other.at - touch.at) <= burst]
    if any(other.link == DECOY for other in clicks):
        return Verdict("scanner", "hidden link")
    if touch.kind == "click" and links > 1 and _most_at_once(touch, clicks, burst) >= min(links, MANY):
        return Verdict("scanner", "links at once")
    return Verdict("human")


def _most_at_once(touch: Touch, clicks: Sequence[Touch], burst: timedelta) -> int:
    """The largest number of different links followed in a time span of `burst` that contains the touch."""
    begins = {click.at for click in clicks if click.at <= touch.at}
    return max(len({click.link for click in clicks if begin <= click.at <= begin + burst}) for begin in begins)
