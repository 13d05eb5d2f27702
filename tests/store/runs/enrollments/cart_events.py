"""A track that events of a cart enrol in, and what such an event came to."""

from __future__ import annotations

from store.runs.enrollments.enrolling_by_event import Reason
from store.runs.events.events import Event
from tests.store.store_calls import StoreCalls

CART = """
track: cart
entry: {event: cart.left}
reentry: {per: cart_id}
steps:
  - {id: pause, wait: 1d}
"""
ALWAYS = CART.replace("{per: cart_id}", "always")
LEFT = Event("e1", "ann", "cart.left", {"cart_id": "cart-1"})


def track(**keys: str) -> str:
    """The track `ALWAYS` with more keys in its entry."""
    more = ", ".join(f"{key}: {value}" for key, value in keys.items())
    return ALWAYS.replace("{event: cart.left}", f"{{event: cart.left, {more}}}")


async def entered(store: StoreCalls, *events: Event) -> list[Reason | str]:
    """The result of each event: `enrolled`, or the reason why not."""
    answers = await store.accept(*events)
    return ["enrolled" if one.enrolled else one.not_enrolled[0].reason for one in answers]
