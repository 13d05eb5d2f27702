"""The error of a failed start."""

from __future__ import annotations

LOCAL = "install Perennial with its extra `local` (pip install '.[local]')"
"""How to install what only the local stack and the benchmarks need. Production does not need it."""


class LaunchError(Exception):
    """A start failed. The text is one sentence for the user at the terminal."""
