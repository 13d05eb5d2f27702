"""What several touches of one message say together: too soon, too many, or beside the link that no person sees."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from api.tracking.bot_requests import Verdict
from store.sending.engagement import Touch
from tracks.shared.link_tokens import DECOY

BURST = timedelta(seconds=10)
"""How close together touches belong to one burst."""
MANY = 3
"""Different links of a message in one burst that no person follows; where it has two, both."""
REPEAT = timedelta(minutes=1)
"""The same link again within this long is the same click."""


def judge(
    touch: Touch,
    around: Sequence[Touch],
    *,
    links: int,
    reached_at: datetime,
    soon: timedelta,
    burst: timedelta = BURST,
) -> Verdict:
    """Whose touch it was, as far as the touches `around` it (at most `burst` apart) tell.

    `links` is how many the message has, `reached_at` when its recipient can have had it; a click less than `soon`
    later is a machine's. What a request said by itself stands.
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
    """The most different links followed in any span of `burst` that the touch lies in."""
    begins = {click.at for click in clicks if click.at <= touch.at}
    return max(len({click.link for click in clicks if begin <= click.at <= begin + burst}) for begin in begins)
