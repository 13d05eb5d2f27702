"""uvicorn, with the one thing it does not offer: letting an application break its connection."""

from __future__ import annotations

import socket

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class BreakableProtocol(HttpToolsProtocol):
    """Puts the transport into the scope, where `faults.Dropped` finds it."""

    def on_message_begin(self) -> None:
        """Called by the parser at the start of each request."""
        super().on_message_begin()
        self.scope["extensions"] = {"sandbox.transport": self.transport}  # type: ignore[dict-item]


def listen(port: int) -> socket.socket:
    """A loopback socket on that port (0: any free one); OSError when it is taken."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", port))
        sock.listen(2048)
    except OSError:
        sock.close()
        raise
    return sock


def serve(app: ASGIApp, sock: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, then stop within about a second."""
    config = uvicorn.Config(
        app,
        # Short ones (uvicorn's 5 s) end now and then just as the next request is on its way: nobody knows what became
        # of that message then, and one in some thousands was left to be reconciled.
        timeout_keep_alive=75,
        http=BreakableProtocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[sock])
