"""The API's web server. On a stop signal it answers the begun requests, and the process ends with success.

It bounds what happens before a request reaches the application: the bytes of the headers and the time they take.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

HEAD_BYTES = 64 << 10
"""Most bytes of the request line and the headers together. The same limit holds for what stands between two parts of a
body (extensions of chunks) and after the last one (trailers)."""
HEADERS = 200
"""Most headers of a request."""
CHUNK_BYTES = 16 << 10
"""Bytes that are parsed at once. An event loop reads up to 256 KiB."""
HEAD_SECONDS = 10.0
"""Seconds that the headers may take, and that a connection may exist without a first request."""
LINGER = 30.0
"""Seconds for which the rest of a body is still read and dropped after its request was answered."""
AHEAD = 16
"""How many requests a connection may pipeline behind the one being answered. Each takes some kilobytes of objects,
and one read has room for thousands. After the last request kept, the connection is closed without parsing the rest;
the client sends the rest again (https://www.rfc-editor.org/rfc/rfc9112#section-9.3.2)."""
UNREAD_SECONDS = 30.0
"""Seconds within which a client must read at least `READ_BYTES` of an answer."""
READ_BYTES = 64 << 10
"""About 2 kB a second: slower than any connection on which people read pages."""


class ListenError(OSError):
    """The server cannot listen on a port. The text says which port, why, and which setting names it."""


class _Listening(uvicorn.Server):
    """uvicorn ends the process if it cannot listen. This class raises ListenError instead, for the caller to report."""

    named = ""
    """The options or the setting that name the port."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen. Raises ListenError."""
        try:
            await super().startup(sockets)
        except SystemExit as end:
            why = end.__context__
            number = (why.errno or 0) if isinstance(why, OSError) else 0
            reason = os.strerror(number) if number > 0 else str(why)  # an unknown host name has a negative one
            place = f"{self.config.host}:{self.config.port}"
            raise ListenError(f"{place} cannot be listened on ({reason}): look at {self.named}") from None


class Server(_Listening):
    """uvicorn raises the received signal again, which would end the process before it has closed its resources."""

    named = "--host and --port"

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop accepting requests. A second SIGINT gives up the requests that are still being answered."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


class OperationsServer(_Listening):
    """A server for a few calls beside the process's own work. It leaves signals to the process."""

    def __init__(self, app: ASGIApp, host: str, port: int, named: str) -> None:
        """`named` is the setting that names the port."""
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http=BoundedProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )
        self.named = named
        self._running: asyncio.Task[None] | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signal handlers as they are."""
        yield

    async def start(self) -> None:
        """Listen. Raises ListenError if it cannot listen on the port."""
        self._running = asyncio.create_task(self.serve())
        while not self.started:
            if self._running.done():
                await self._running
                raise ListenError(f"{self.config.host}:{self.config.port} cannot be listened on: look at {self.named}")
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Stop. Open connections get one second."""
        self.should_exit = True
        if self._running is not None:
            await self._running


class BoundedProtocol(HttpToolsProtocol):
    """HTTP by httptools with bounds. httptools has none: one endless header would take a core and all memory."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._fed = 0
        """Bytes parsed since the last request ended, or since the last part of a body."""
        self._in_head = False
        self._whole = True
        self._late: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._last_kept = False
        """Whether further requests of this connection are dropped."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A new connection: its first request must come within `HEAD_SECONDS`."""
        super().connection_made(transport)
        self._wait(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed: stop the timers."""
        self._stop_waiting()
        self._stop_reading_in_time()
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the data piece by piece, as long as a request in it may be answered."""
        for at in range(0, len(data), CHUNK_BYTES):
            if self._ended:
                return
            self._take(data if len(data) <= CHUNK_BYTES else data[at : at + CHUNK_BYTES])

    def _take(self, data: bytes) -> None:
        """Parse a piece. Refuse endless headers and trailers, and bound the time for the rest of them."""
        self._fed += len(data)
        super().data_received(data)
        if self._ended:
            return
        if self._fed > HEAD_BYTES + CHUNK_BYTES:  # the first chunk may hold the end of the request before
            self._refuse(431, "The headers are too large.")
        elif self._late is None and (self._in_head or (self._whole and not self._answering)):
            self._wait(HEAD_SECONDS)  # also before a request: empty lines before it are allowed, but not for ever

    def on_message_begin(self) -> None:
        """A request begins with its first byte."""
        self._in_head, self._whole = True, False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The headers are complete: begin the request, unless they are too large."""
        self._stop_waiting()
        if self._ended:
            return
        if len(self.headers) > HEADERS or (self._fed > HEAD_BYTES and self._size() > HEAD_BYTES):
            self._refuse(431, "The headers are too large.")
            return
        if len(self.pipeline) >= AHEAD:
            self._keep_no_more()
            return
        super().on_headers_complete()
        self._in_head, self._fed = False, 0
        self.headers = []  # what follows a chunked body is no header (RFC 9110, section 6.5.1) and is dropped

    def on_body(self, body: bytes) -> None:
        """Take a part of a body. The body of a refused or dropped request is ignored."""
        self._fed = 0
        if not self._ended:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete, and the next one may begin."""
        self._stop_waiting()
        self._whole, self._fed = True, 0
        if not self._ended:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse data that is not HTTP."""
        self._refuse(400, msg)

    def on_response_complete(self) -> None:
        """The request is answered. If its body is still arriving, bound the time for the rest."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._read_in_time()
        elif not self._whole and not self._in_head and not self._answering:
            self._wait(LINGER)

    def pause_writing(self) -> None:
        """The client does not read: bound the time until it reads again."""
        super().pause_writing()
        self._read_in_time()

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_reading_in_time()

    def timeout_keep_alive_handler(self) -> None:
        """No further request came in time."""
        super().timeout_keep_alive_handler()
        self._read_in_time()

    def _read_in_time(self) -> None:
        """Give the connection up if the client does not read what was written, also after the connection was closed."""
        if self._unread is None:
            self._await_reading()

    def _await_reading(self) -> None:
        self._unread = self.loop.call_later(UNREAD_SECONDS, self._too_slow, self.transport.get_write_buffer_size())

    def _too_slow(self, left: int) -> None:
        if self.transport.get_write_buffer_size() > left - READ_BYTES:
            self.transport.abort()
        else:
            self._await_reading()

    def _stop_reading_in_time(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._late = self.loop.call_later(seconds, self._too_late)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_late(self) -> None:
        self._late = None
        if not self.transport.is_closing():
            if self._in_head:
                self._refuse(408, "The headers came too slowly.")
            else:
                self.transport.close()
                self._read_in_time()

    @property
    def _ended(self) -> bool:
        """Whether nothing more of this connection is parsed."""
        return self._last_kept or self.transport.is_closing()

    @property
    def _answering(self) -> bool:
        """Whether a request was begun and is not yet answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def _keep_no_more(self) -> None:
        """Answer the begun requests, and close the connection after the last of them."""
        self._last_kept = True
        self._stop_waiting()
        self.cycle.keep_alive = False

    def _refuse(self, status: int, why: str) -> None:
        """Answer with `status` and close. If an earlier request is unanswered, answer only that one and close."""
        self.logger.info("refused before the application: %s", why)
        if self._answering and (self._in_head or self._whole):
            self._keep_no_more()
            return
        begun = not self._in_head and not self._whole and (self.pipeline or self.cycle.response_started)
        if not begun:
            told = f"{why}\n".encode("ascii")
            head = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + head % len(told) + told)
        self.transport.close()
        self._read_in_time()
