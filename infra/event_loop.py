"""Run a service of this project: the API, a worker or a relay."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any, TypeVar

Answer = TypeVar("Answer")


def run(service: Coroutine[Any, Any, Answer]) -> Answer:
    """Run a service to its end, on the faster event loop.

    Imported modules stay in memory for ever. They are excluded from garbage collection, because each full collection
    would otherwise stop a worker for some tenths of a second.
    """
    import uvloop

    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(service)
