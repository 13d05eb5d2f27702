"""Waiting until the parts of a house have done what was asked of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from bench.measuring.measured_runs import NOT_COUNTED
from bench.measuring.resource_use import Spent

IDLE = 0.25
"""Cores: what all parts together may use for a house to count as quiet; their polling alone takes some."""
AT_MOST = 60.0
"""Seconds after which a house that is not quiet counts as broken."""


async def quiet(spent: Spent) -> None:
    """Return once the parts have used next to no CPU for a second. Raises TimeoutError naming what each still uses."""
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
