"""Patches: what runs whose history begins before one of them go on doing. Their names are written into histories."""

from __future__ import annotations

PAUSE_BETWEEN_TURNS = "pause-between-turns"
"""Runs from before this patch asked again at once where a deferral named no time to come."""

CLOCKS_APART = "clocks-apart"
"""Runs from before this patch ignored an event that came after their wait began with a time from just before it."""

SEND_NOW = "send-now"
"""Messages of runs from before this patch all stood in their provider's queue."""

EVENTS_COUNT_ONCE = "events-count-once"
"""In runs from before this patch one event could end several waits, and a wait knew the latest event only."""

LATE_WAITS = "late-waits"
"""Runs from before this patch took the moment at which a late timer was noticed for the one at which it was due."""

TOLD_ENOUGH = "told-enough"
"""Runs from before this patch never continued as new because of what they were told amid a wait."""

REPORT_PATH = "report-path"
"""Runs from before this patch carried their path along until an activity took it, however long it grew."""

CONDITIONS = "conditions-bounded"
"""Branches of runs from before this patch took any time they liked, and dates without a time failed in them."""
