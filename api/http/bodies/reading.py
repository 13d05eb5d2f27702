"""Reading bodies: bounded, unzipped, and free of what the database cannot hold."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from pydantic_core import from_json

from api.http.bodies.arrival import Arrivals, too_large
from api.http.overload import visit_of
from api.http.problems import FieldProblem, ProblemError, invalid, pointer
from tracks.contacts.contact_fields import unstorable

SINGLE = 1 << 20
"""Bytes that the body of one thing may have."""
BATCH = 5 << 20
"""Bytes that the body of a batch may have."""


MAX_VALUES = 250_000
"""Values that JSON may have, counted by its commas and brackets: each is looked at, by Python."""
GZIP = 5
"""How many times larger than it came an unzipped body is taken to be."""
_ARRIVALS = Arrivals()
"""Of the whole process, whose memory they bound."""


class BoundedRequest(Request):
    """A request whose body is read up to `limit` bytes, before and after unzipping."""

    limit = SINGLE
    lenient = False

    async def body(self) -> bytes:
        """The body, unzipped where it is gzip.

        Raises:
            ProblemError: 413 past the limit, 415 for another encoding, 400 for broken gzip; 408 and 429 as `Arrivals`
                does.
        """
        if not hasattr(self, "_body"):
            self._body = self._unzipped(await self._bounded())
        return self._body

    async def json(self) -> Any:
        """The body as JSON that the database can hold (that is left to the handler where `lenient`).

        Raises:
            ProblemError: 400 where it is no JSON, 422 naming every value that cannot be stored.
        """
        if not hasattr(self, "_json"):
            body = await self.body()
            self._json = load_json(body) if self.lenient else parse_json(body)
        return self._json

    async def _bounded(self) -> bytes:
        announced = self.headers.get("content-length", "")
        if announced.isdecimal() and int(announced[:20]) > self.limit:
            raise too_large(self.limit)
        zipped = self._encoding() == "gzip"
        return await _ARRIVALS.whole(self.receive, self.limit, visit_of(self), GZIP if zipped else 1)

    def _encoding(self) -> str:
        return self.headers.get("content-encoding", "identity").strip().lower()

    def _unzipped(self, raw: bytes) -> bytes:
        encoding = self._encoding()
        if encoding == "identity":
            return raw
        if encoding != "gzip":
            raise ProblemError(415, "unsupported-media-type", "Content-Encoding may be gzip or absent.")
        inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            data = inflater.decompress(raw, self.limit + 1)
        except zlib.error:
            raise ProblemError(400, "malformed-body", "The body is not valid gzip.") from None
        if len(data) > self.limit:
            raise too_large(self.limit)
        if not inflater.eof:
            raise ProblemError(400, "malformed-body", "The gzip body ends too early.")
        return data


def load_json(body: bytes) -> Any:
    """JSON as it comes: `storable` says what of it the database cannot hold.

    Raises:
        ProblemError: 400 where it is no JSON in UTF-8, 413 where it has more than `MAX_VALUES` values.
    """
    if len(body) > MAX_VALUES and sum(body.count(mark) for mark in b"[{,") > MAX_VALUES:
        raise ProblemError(413, "body-too-large", f"The body may have at most {MAX_VALUES:,} values.")
    try:
        return from_json(body)
    except ValueError as error:
        try:
            # Lenient about lone surrogates, so that they can be named by their place. It is told the encoding, because
            # it would guess: UTF-16 and UTF-32 too.
            return json.loads(body.decode("utf-8-sig", "surrogatepass"))
        except (ValueError, RecursionError):
            raise ProblemError(400, "malformed-body", f"The body is not JSON: {error}.") from None


def storable(data: Any, at: tuple[str | int, ...] = ()) -> list[FieldProblem]:
    """Everything in `data` that PostgreSQL's jsonb or a condition cannot hold, by its place."""
    return [FieldProblem(detail=detail, pointer=pointer(place)) for place, detail in unstorable(data, at)]


def parse_json(body: bytes) -> Any:
    """JSON that the database can hold.

    Raises:
        ProblemError: 400 where it is no JSON, 422 naming every value that cannot be stored.
    """
    data = load_json(body)
    if errors := storable(data):
        raise invalid(errors)
    return data


def parse_form(body: bytes) -> Mapping[str, str]:
    """An urlencoded form; the last of repeated fields counts.

    Raises:
        ProblemError: 400 where it is no such form.
    """
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=200, errors="strict"))
    except ValueError:
        raise ProblemError(400, "malformed-body", "The body is not an urlencoded form.") from None


def media_type(request: Request) -> str:
    """The body's media type without parameters, in lower case; empty where there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_json(kind: str) -> bool:
    """Whether a media type means JSON."""
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def read_text(body: bytes) -> str:
    """A body as text.

    Raises:
        ProblemError: 400 where it is not UTF-8 or holds a NUL character.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ProblemError(400, "malformed-body", f"The body is not UTF-8: {error.reason}.") from None
    if "\x00" in text:
        raise ProblemError(400, "malformed-body", "The body holds a NUL character.")
    return text
