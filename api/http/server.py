"""The API's web server: told to stop, it answers what it has begun, and the process then ends as one that succeeded.

What comes before a request reaches the application is bounded here: the bytes of its headers and the time they take.
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
"""Bytes that the request line and the headers may have together, and what is no body between two parts of one, or
after its last: extensions of chunks and trailers."""
HEADERS = 200
"""Headers that a request may have."""
CHUNK_BYTES = 16 << 10
"""Bytes that are looked at at once; an event loop reads up to 256 KiB."""
HEAD_SECONDS = 10.0
"""Seconds that they may take, and a connection may be without a first request."""
LINGER = 30.0
"""Seconds for which the rest of a body is still taken, and dropped, after its request was answered."""
AHEAD = 16
"""Requests that a connection may have sent before the one in front of them is answered. Each is kept as objects of
some kilobytes, and what is read at once has room for thousands. After the last one that was kept the connection is
closed, nothing more of it is looked at, and the client sends the rest again (https://www.rfc-editor.org/rfc/rfc9112#section-9.3.2)."""
UNREAD_SECONDS = 30.0
"""Seconds for which a client may leave an answer unread, or read less than `READ_BYTES` of it."""
READ_BYTES = 64 << 10
"""Some 2 kB a second: less than any line on which people read pages."""


class ListenError(OSError):
    """A port that cannot be had; the text says which, why, and what names it."""


class _Listening(uvicorn.Server):
    """uvicorn ends the process where it cannot listen: here that is an error, which whoever began it can tell."""

    named = ""
    """What says which port that is."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen. Raises ListenError."""
        try:
            await super().startup(sockets)
        except SystemExit as end:
            why = end.__context__
            number = (why.errno or 0) if isinstance(why, OSError) else 0
            reason = os.strerror(number) if number > 0 else str(why)  # a name that nobody knows has a negative one
            place = f"{self.config.host}:{self.config.port}"
            raise ListenError(f"{place} cannot be listened on ({reason}): look at {self.named}") from None


class Server(_Listening):
    """uvicorn ends its process by the signal that it was sent, before the process has closed what it holds."""

    named = "--host and --port"

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop accepting; a second SIGINT gives up what is still being answered."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


class Beside(_Listening):
    """A server of a few calls beside the process's own work; signals are left to the process."""

    def __init__(self, app: ASGIApp, host: str, port: int, named: str) -> None:
        """`named` is the setting that the port is from."""
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
        """Leave them as they are."""
        yield

    async def start(self) -> None:
        """Listen. Raises ListenError where the port cannot be had."""
        self._running = asyncio.create_task(self.serve())
        while not self.started:
            if self._running.done():
                await self._running
                raise ListenError(f"{self.config.host}:{self.config.port} cannot be listened on: look at {self.named}")
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """End; open connections have a second."""
        self.should_exit = True
        if self._running is not None:
            await self._running


class BoundedProtocol(HttpToolsProtocol):
    """HTTP by httptools, which bounds nothing by itself: one header without an end took a core and any memory."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._fed = 0
        """Bytes of what was looked at since the last request ended, or since the last part of a body."""
        self._in_head = False
        self._whole = True
        self._late: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._last_kept = False
        """Whether no further request of this connection is kept."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection: its first request has to come soon."""
        super().connection_made(transport)
        self._wait(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._stop_waiting()
        self._stop_reading_in_time()
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Look at what came piece by piece, for as long as something of it may be answered."""
        for at in range(0, len(data), CHUNK_BYTES):
            if self._ended:
                return
            self._take(data if len(data) <= CHUNK_BYTES else data[at : at + CHUNK_BYTES])

    def _take(self, data: bytes) -> None:
        """Refuse headers and trailers that do not end, and wait no longer than so long for the rest of them."""
        self._fed += len(data)
        super().data_received(data)
        if self._ended:
            return
        if self._fed > HEAD_BYTES + CHUNK_BYTES:  # the first chunk may hold the end of the request before
            self._refuse(431, "The headers are too large.")
        elif self._late is None and (self._in_head or (self._whole and not self._answering)):
            self._wait(HEAD_SECONDS)  # without a request too: line ends before one are allowed, but not for ever

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._in_head, self._whole = True, False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The headers are there: begin the request, unless they are too large."""
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
        """Part of a body; of a request that was refused for its headers, or is not kept, nothing is."""
        self._fed = 0
        if not self._ended:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole, and the next one may begin."""
        self._stop_waiting()
        self._whole, self._fed = True, 0
        if not self._ended:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        self._refuse(400, msg)

    def on_response_complete(self) -> None:
        """It is answered. Where its own body is still coming, that shall not take for ever."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._read_in_time()
        elif not self._whole and not self._in_head and not self._answering:
            self._wait(LINGER)

    def pause_writing(self) -> None:
        """The client does not read: that shall not take for ever."""
        super().pause_writing()
        self._read_in_time()

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_reading_in_time()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing more is asked for."""
        super().timeout_keep_alive_handler()
        self._read_in_time()

    def _read_in_time(self) -> None:
        """Give the connection up where what was written, or what is left of it at its close, stays unread."""
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
        """Whether nothing more of this connection is looked at."""
        return self._last_kept or self.transport.is_closing()

    @property
    def _answering(self) -> bool:
        """Whether a request was begun and is not answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def _keep_no_more(self) -> None:
        """Answer what was begun, the newest of it with a close."""
        self._last_kept = True
        self._stop_waiting()
        self.cycle.keep_alive = False

    def _refuse(self, status: int, why: str) -> None:
        """Answer so and close; what was asked before is answered first, and then there is no other answer."""
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
