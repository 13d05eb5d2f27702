"""A process that only keeps segments, to be killed. Its one argument is the database's address."""

from __future__ import annotations

import asyncio
import sys

from api.audience.segment_upkeep import SegmentUpkeep
from store.engine.database import Database


async def keep(url: str) -> None:
    """Keep segments until the process ends."""
    async with SegmentUpkeep(Database(url, 3)):
        print("keeps", flush=True)
        await asyncio.sleep(600)


def main() -> None:
    """Run the process."""
    asyncio.run(keep(sys.argv[1]))
