"""Running a service of this project to its end: the API, a worker or a relay."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any, TypeVar

Answer = TypeVar("Answer")


def run(service: Coroutine[Any, Any, Answer]) -> Answer:
    """Run a service to its end, on the faster loop.

    All that was imported is alive for good. The collector leaves it alone: otherwise each of its full rounds
    stops a worker for some tenths of a second.
    """
    import uvloop

    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(service)
