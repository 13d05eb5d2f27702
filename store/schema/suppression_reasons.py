"""Why an address is suppressed, and which reason wins over which."""

from __future__ import annotations

from typing import Literal

Reason = Literal["complained", "bounced", "manual", "stop", "erased", "unsubscribed"]
HARSHEST_FIRST: tuple[Reason, ...] = ("complained", "bounced", "manual", "stop", "erased", "unsubscribed")
"""A harsher reason replaces a milder one, in whatever order they come.

Harsher is what takes more to end: an operator for the first three, START from that number for `stop`, a new consent for
the last two; and only `unsubscribed` lets transactional messages pass. If a milder reason could replace a harsher one,
whatever ends the milder one would end the harsher one with it.
"""
ENDED_BY_CONSENT: tuple[Reason, ...] = ("erased", "unsubscribed")
