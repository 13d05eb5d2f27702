"""Keyset cursors: opaque to the caller, signed, and valid only for the list that they were made for."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import Query
from pydantic import WithJsonSchema

from api.http.problems import FieldProblem, invalid

MAX_LIMIT = 200
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items in one page.")]
CursorText = Annotated[
    str | None,
    Query(max_length=600, description="`next` of the page before; the other parameters must be the same."),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": "^[A-Za-z0-9_-]{19,600}$", "maxLength": 600}, {"type": "null"}]}
    ),
]
_MAC = 12
Item = TypeVar("Item")
Position = Sequence[str | int]


class Cursors:
    """Makes and reads cursors. Without a secret, cursors are valid only while the process lives."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(b"perennial cursor" + (secret.encode() or secrets.token_bytes(32))).digest()

    def make(self, listing: Sequence[str | None], position: Position) -> str:
        """A cursor that continues after `position`. `listing` identifies the list: its name and filters."""
        body = json.dumps(list(position), separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(listing, body) + body).decode().rstrip("=")

    def read(self, listing: Sequence[str | None], cursor: str | None) -> list[str | int] | None:
        """The position in a cursor; None for the first page.

        Raises:
            ProblemError: 422 if `make` did not make it for the same list.
        """
        if cursor is None:
            return None
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raw = b""
        body = raw[_MAC:]
        if not body or not hmac.compare_digest(raw[:_MAC], self._mac(listing, body)):
            detail = "This is no cursor of this list with these parameters; begin again without one."
            raise invalid([FieldProblem(detail=detail, parameter="cursor")])
        position: list[str | int] = json.loads(body)
        return position

    def cut(
        self, listing: Sequence[str | None], found: Sequence[Item], limit: int, place: Callable[[Item], Position]
    ) -> tuple[Sequence[Item], str | None]:
        """Cut a page of `limit` items from `found`, which holds up to one more. Returns the page and the cursor after
        it, which is None for the last page.

        `place` gives the position of an item.
        """
        shown = found[:limit]
        return shown, self.make(listing, place(shown[-1])) if len(found) > limit else None

    def _mac(self, listing: Sequence[str | None], body: bytes) -> bytes:
        return hmac.digest(self._key, json.dumps(list(listing)).encode() + b"\0" + body, "sha256")[:_MAC]
