"""The API behind a real server, for clients that we did not write."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.config import LOGGING_CONFIG

from api.http.server import BoundedProtocol


@asynccontextmanager
async def serve(app: FastAPI, port: int = 0, *, log_config: Any = LOGGING_CONFIG) -> AsyncIterator[str]:
    """Serve the app on this machine, on a free port unless one is given. Yields its address.

    Without `log_config` the server logs as under `perennial api`.
    """
    listening = socket.create_server(("127.0.0.1", port))
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=log_config, log_level="warning", ws="none", http=BoundedProtocol)
    )
    running = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        listening.close()
