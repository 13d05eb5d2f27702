"""The machine of a benchmark."""

from __future__ import annotations

import platform
from typing import Any

import psutil


def machine() -> dict[str, Any]:
    """Cores, memory in bytes, system, Python, and the load average of the last minute."""
    return {
        "cores": psutil.cpu_count(),
        "memory": psutil.virtual_memory().total,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "load": psutil.getloadavg()[0],
    }
