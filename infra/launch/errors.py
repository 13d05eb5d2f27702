"""The one error that a broken start ends with."""

from __future__ import annotations


class LaunchError(Exception):
    """A start that failed; its text is one clear sentence for the person at the terminal."""
