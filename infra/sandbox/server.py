"""uvicorn with one addition: the application can break its connection."""

from __future__ import annotations

import socket

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class BreakableProtocol(HttpToolsProtocol):
    """Puts the transport into the scope, for `faults.Dropped`."""

    def on_message_begin(self) -> None:
        """The parser calls this at the start of each request."""
        super().on_message_begin()
        self.scope["extensions"] = {"sandbox.transport": self.transport}  # type: ignore[dict-item]


def listen(port: int) -> socket.socket:
    """A loopback socket on that port (0: any free one). Raises OSError if the port is taken."""
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
        # With a short timeout (uvicorn's 5 s), a connection sometimes closes just as the next request is sent. Then the
        # message's outcome is unknown: one in some thousands had to be reconciled.
        timeout_keep_alive=75,
        http=BreakableProtocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[sock])
