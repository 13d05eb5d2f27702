"""The ids of patches (`workflow.patched`). They are written into histories, so they must not change.

Each text says what a run goes on doing whose history is from before the patch.
"""

from __future__ import annotations

PAUSE_BETWEEN_TURNS = "pause-between-turns"
"""Runs from before this patch try a deferred message again at once where the deferral names no future moment."""

CLOCKS_APART = "clocks-apart"
"""Runs from before this patch ignore an event that arrives during their wait with a time from just before the wait."""

SEND_NOW = "send-now"
"""Runs from before this patch send every message from its provider's queue."""

EVENTS_COUNT_ONCE = "events-count-once"
"""In runs from before this patch one event can end several waits, and a wait knows the latest event only."""

LATE_WAITS = "late-waits"
"""Runs from before this patch count from the moment at which they notice a late timer, not from when it was due."""

TOLD_ENOUGH = "told-enough"
"""Runs from before this patch do not continue as new when signals make their history long during a wait."""

REPORT_PATH = "report-path"
"""Runs from before this patch keep their path until an activity takes it to the database, however long it grows."""

CONDITIONS = "conditions-bounded"
"""In runs from before this patch the work of a condition has no bound, and a date without a time makes it fail."""
