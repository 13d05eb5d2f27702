"""The event that Perennial makes when a contact's grade by a score changes."""

from __future__ import annotations

GRADED = "score.graded"
"""The properties are `score`, its name, `version`, and the grades `from` and `to`."""
