"""Split an import's body into rows while it arrives, in bounded memory for any body.

A row that cannot be read is reported with its line number, and reading continues with the next line: an unclosed quote
spoils its own row, not the rest of the file.

Python splits some megabytes a second, fewer if rows are short. This runs in one thread for all uploads, so that it does
not block the event loop.
"""

from __future__ import annotations

import asyncio
import csv
import zlib
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from api.http.problems import ProblemError
from api.resources.imports.line_endings import whole_lines
from store.runs.imports.import_rows import Problem, Raw

MAX_ROW = 1 << 16
"""Largest row, in bytes."""
MAX_BYTES = 4 << 30
"""Largest body after unzipping, in bytes."""
MAX_EMPTY = 2_000_000
"""Most empty lines. A sheet of Excel has at most half as many lines and may be saved with all of them."""
MAX_RATIO = 100
"""Largest ratio of the unzipped size to the gzip size."""
FREE_RATIO = 16 << 20
"""Unzipped bytes that are allowed in any case, because the first kilobyte of gzip may expand to many."""
SILENCE = 60.0
"""Longest time without data, in seconds."""
_PIECE = 1 << 16
_AT_ONCE = 1 << 12
"""A piece of up to so many bytes is split in the event loop, because a thread would cost more."""
_SPLITTING = ThreadPoolExecutor(1, "splitting")

Format = Literal["csv", "jsonl"]
_TOO_LONG = f"is longer than {MAX_ROW:,} bytes"
_NOT_UTF8 = "is not UTF-8"


class Lines:
    """Collects arriving data into complete lines with their numbers. It drops lines that are too long."""

    def __init__(self) -> None:
        self._rest = b""
        self._number = 1
        self._skipping = False

    def without_empty(self, data: bytes) -> bytes:
        """Count and remove the empty lines at the beginning of the data. Returns the rest."""
        if self._rest or self._skipping:
            return data
        begins = data.rfind(b"\n", 0, len(data) - len(data.lstrip(b"\r\n"))) + 1
        self._number += data.count(b"\n", 0, begins)
        return data[begins:]

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes | None]]:
        """The lines that are complete now, with their ends; None for a line that is too long."""
        lines, self._rest = whole_lines(self._rest + data)
        for line in lines:
            yield from self._line(line)
        if len(self._rest) > MAX_ROW:  # the line has ended if its last character is a CR
            self._rest, self._skipping = b"\r" if self._rest.endswith(b"\r") else b"", True

    def end(self) -> Iterator[tuple[int, bytes | None]]:
        """The last line, if it has no end."""
        if self._rest or self._skipping:
            rest, self._rest = self._rest, b""
            yield from self._line(rest)

    def _line(self, line: bytes) -> Iterator[tuple[int, bytes | None]]:
        yield self._number, None if self._skipping or len(line) > MAX_ROW else line
        self._number, self._skipping = self._number + 1, False


class Splitter:
    """Makes rows from lines. The caller takes them from `rows` and `problems` and empties both."""

    def __init__(self, kind: Format, delimiter: str = ",") -> None:
        self._csv, self._delimiter = kind == "csv", delimiter
        self._lines = Lines()
        self._open: list[tuple[int, str]] = []
        self._empty = 0
        self.rows: list[Raw] = []
        self.problems: list[Problem] = []

    async def take(self, data: bytes) -> None:
        """Take arrived data without blocking the event loop.

        Raises:
            ProblemError: 413 if there are too many empty lines.
        """
        if len(data) <= _AT_ONCE and not self._open:
            self.feed(data)
        else:
            await asyncio.get_running_loop().run_in_executor(_SPLITTING, self.feed, data)

    async def finish(self) -> None:
        """Take what is left: nothing more arrives."""
        await asyncio.get_running_loop().run_in_executor(_SPLITTING, self.end)

    def feed(self, data: bytes) -> None:
        """Take arrived data.

        Raises:
                ProblemError: 413 if there are too many empty lines.
        """
        if not self._open:  # within an open quote, empty lines belong to the value
            shorter = self._lines.without_empty(data)
            self._empty += data.count(b"\n", 0, len(data) - len(shorter))
            data = shorter
        arrived = False
        for number, line in self._lines.feed(data):
            self._take(number, line)
            arrived = True
        if arrived and self._csv:
            self._split(last=False)
        if self._empty > MAX_EMPTY:
            raise ProblemError(413, "body-too-large", f"More than {MAX_EMPTY:,} lines of it are no rows.")

    def end(self) -> None:
        """Take what is left: nothing more arrives."""
        for number, line in self._lines.end():
            self._take(number, line)
        if self._csv:
            self._split(last=True)

    def _take(self, number: int, line: bytes | None) -> None:
        if line is None:
            if self._csv:
                self._split(last=True)
            self.problems.append(Problem(number, "bad", _TOO_LONG))
            return
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        text = line.decode("utf-8", "surrogateescape")
        if self._csv:
            self._open.append((number, text))
        elif text.strip():
            self._add(number, text.strip())
        else:
            self._empty += 1

    def _split(self, *, last: bool) -> None:
        """Read the complete rows. After a row that cannot be read, continue with the line after its first line."""
        while self._open:
            begun = 0
            reader = csv.reader((text for _, text in self._open), delimiter=self._delimiter, strict=True)
            try:
                for values in reader:
                    if any(value.strip() for value in values):
                        self._add(self._open[begun][0], values)
                    else:
                        self._empty += 1
                    begun = reader.line_num
            except csv.Error as error:
                unfinished = "unexpected end of data" in str(error)
                if unfinished and not last and sum(len(text) for _, text in self._open[begun:]) <= MAX_ROW:
                    del self._open[:begun]
                    return
                reason = "opens a quote that is not closed" if unfinished else str(error).partition(" - ")[0]
                self.problems.append(Problem(self._open[begun][0], "bad", reason))
                begun += 1
            del self._open[:begun]

    def _add(self, number: int, row: str | list[str]) -> None:
        values = [row] if isinstance(row, str) else row
        if not all(value.isascii() for value in values) and _broken(values):
            self.problems.append(Problem(number, "bad", _NOT_UTF8))
        elif sum(map(len, values)) > MAX_ROW:
            self.problems.append(Problem(number, "bad", _TOO_LONG))
        else:
            self.rows.append((number, row))


def _broken(values: list[str]) -> bool:
    return any("\ud800" <= letter <= "\udfff" for value in values for letter in value)


async def unzipped(stream: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:
    """The body in pieces of bounded size, unzipped if it is gzip.

    Raises:
        ProblemError: 413 above `MAX_BYTES` or `MAX_RATIO`, 415 for another encoding, 400 for broken gzip, 408 if no
            data comes for `SILENCE` seconds.
    """
    stream = _patient(stream)
    if encoding not in ("identity", "gzip"):
        raise ProblemError(415, "unsupported-media-type", "Content-Encoding may be gzip or absent.")
    size = 0
    async for piece in _plain(stream) if encoding == "identity" else _gunzipped(stream):
        size += len(piece)
        if size > MAX_BYTES:
            raise ProblemError(413, "body-too-large", f"An import may have at most {MAX_BYTES:,} bytes (unzipped).")
        yield piece


async def _patient(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        while True:
            async with asyncio.timeout(SILENCE):
                data = await anext(stream)
            yield data
    except StopAsyncIteration:
        return
    except TimeoutError:
        detail = f"Nothing came for {SILENCE:.0f} s; nothing was imported."
        raise ProblemError(408, "too-slow", detail, headers={"Connection": "close"}) from None


async def _plain(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for data in stream:
        for start in range(0, len(data), _PIECE):
            yield data[start : start + _PIECE]


async def _gunzipped(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
    allowed = FREE_RATIO
    try:
        async for data in stream:
            allowed += len(data) * MAX_RATIO
            while data and not inflater.eof:
                piece = inflater.decompress(data, _PIECE)
                allowed -= len(piece)
                if allowed < 0:
                    detail = f"The body unzips to more than {MAX_RATIO} times its size; send it in parts, or unzipped."
                    raise ProblemError(413, "body-too-large", detail)
                yield piece
                data = inflater.unconsumed_tail
    except zlib.error:
        raise ProblemError(400, "malformed-body", "The body is not valid gzip.") from None
    if not inflater.eof:
        raise ProblemError(400, "malformed-body", "The gzip body ends too early.")
