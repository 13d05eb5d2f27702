"""Wait until the parts of an installation have finished their work."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from bench.measuring.measured_runs import NOT_COUNTED
from bench.measuring.resource_use import Spent

IDLE = 0.25
"""CPU in cores below which an installation counts as idle. Polling alone uses some."""
AT_MOST = 60.0
"""Seconds after which an installation that is not idle counts as failed."""


async def quiet(spent: Spent) -> None:
    """Wait until the parts use almost no CPU for a second. Raises TimeoutError, which names the CPU of each part."""
    used: Mapping[str, float] = {}
    try:
        async with asyncio.timeout(AT_MOST):
            while True:
                before = spent.read()
                await asyncio.sleep(1)
                used = spent.read().since(before)
                if sum(cores for part, cores in used.items() if part not in NOT_COUNTED) <= IDLE:
                    return
    except TimeoutError:
        raise TimeoutError(f"not quiet within {AT_MOST:.0f} s, cores in use: {dict(used)}") from None
