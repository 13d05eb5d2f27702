"""Why an address is suppressed, and the order in which reasons replace each other."""

from __future__ import annotations

from typing import Literal

Reason = Literal["complained", "bounced", "manual", "stop", "erased", "unsubscribed"]
HARSHEST_FIRST: tuple[Reason, ...] = ("complained", "bounced", "manual", "stop", "erased", "unsubscribed")
"""A harsher reason replaces a milder one, in whatever order they arrive.

A reason is harsher if more is needed to end it: an operator for the first three, START from that number for `stop`, a
new consent for the last two. Only `unsubscribed` lets transactional messages through. If a milder reason could replace
a harsher one, whatever ends the milder reason would end the harsher one too.
"""
ENDED_BY_CONSENT: tuple[Reason, ...] = ("erased", "unsubscribed")
