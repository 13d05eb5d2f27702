"""Reading bodies: bound their size, unzip them, refuse values that the database cannot hold."""

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
"""Largest body of a request about one resource, in bytes."""
BATCH = 5 << 20
"""Largest body of a batch, in bytes."""


MAX_VALUES = 250_000
"""How many values a JSON body may have, counted by commas and brackets. Python code visits each of them."""
GZIP = 5
"""Factor by which a gzip body is assumed to grow when it is unzipped."""
_ARRIVALS = Arrivals()
"""One for the whole process, because it bounds the memory of the process."""


class BoundedRequest(Request):
    """A request whose body is read up to `limit` bytes, before and after unzipping."""

    limit = SINGLE
    lenient = False

    async def body(self) -> bytes:
        """The body, unzipped if it is gzip.

        Raises:
            ProblemError: 413 above the limit, 415 for another encoding, 400 for broken gzip; 408 and 429 as `Arrivals`.
        """
        if not hasattr(self, "_body"):
            self._body = self._unzipped(await self._bounded())
        return self._body

    async def json(self) -> Any:
        """The body as JSON that the database can hold. With `lenient` the handler checks the latter.

        Raises:
            ProblemError: 400 if it is no JSON, 422 naming every value that cannot be stored.
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
    """Parse JSON without checking it: `storable` finds the values that the database cannot hold.

    Raises:
        ProblemError: 400 if it is no JSON in UTF-8, 413 if it has more than `MAX_VALUES` values.
    """
    if len(body) > MAX_VALUES and sum(body.count(mark) for mark in b"[{,") > MAX_VALUES:
        raise ProblemError(413, "body-too-large", f"The body may have at most {MAX_VALUES:,} values.")
    try:
        return from_json(body)
    except ValueError as error:
        try:
            # "surrogatepass" accepts lone surrogates, so that `storable` can name their places. The encoding is given
            # because json.loads would guess it and accept UTF-16 and UTF-32 too.
            return json.loads(body.decode("utf-8-sig", "surrogatepass"))
        except (ValueError, RecursionError):
            raise ProblemError(400, "malformed-body", f"The body is not JSON: {error}.") from None


def storable(data: Any, at: tuple[str | int, ...] = ()) -> list[FieldProblem]:
    """The problems of all values in `data` that PostgreSQL's jsonb or a condition cannot hold, by place."""
    return [FieldProblem(detail=detail, pointer=pointer(place)) for place, detail in unstorable(data, at)]


def parse_json(body: bytes) -> Any:
    """Parse JSON that the database can hold.

    Raises:
        ProblemError: 400 if it is no JSON, 422 naming every value that cannot be stored.
    """
    data = load_json(body)
    if errors := storable(data):
        raise invalid(errors)
    return data


def parse_form(body: bytes) -> Mapping[str, str]:
    """Parse an urlencoded form. Of repeated fields the last one counts.

    Raises:
        ProblemError: 400 if it is no such form.
    """
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=200, errors="strict"))
    except ValueError:
        raise ProblemError(400, "malformed-body", "The body is not an urlencoded form.") from None


def media_type(request: Request) -> str:
    """The body's media type without parameters, in lower case; empty if there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_json(kind: str) -> bool:
    """Whether a media type means JSON."""
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def read_text(body: bytes) -> str:
    """Decode a body as text.

    Raises:
        ProblemError: 400 if it is not UTF-8 or holds a NUL character.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ProblemError(400, "malformed-body", f"The body is not UTF-8: {error.reason}.") from None
    if "\x00" in text:
        raise ProblemError(400, "malformed-body", "The body holds a NUL character.")
    return text
