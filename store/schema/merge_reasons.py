"""Why a message is not sent, or not yet, after two contacts became one."""

from __future__ import annotations

SENT_ALREADY = "sent before the contacts were merged"
"""The other contact's run of the same track had sent the step's message, or done its effect."""
UNDER_WAY = "under way when the contacts were merged"
"""The other contact's run was just sending it: this one waits until it is known what became of it."""
