"""Authentication: API keys as bearer tokens, or as the user name of HTTP Basic on the routes for Segment's clients."""

from __future__ import annotations

import base64
import binascii
import hashlib
import time
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from api.http.bodies.reading import BATCH, SINGLE, BoundedRequest, is_json, media_type
from api.http.problems import ProblemError
from api.http.query_parameters import Parameters
from store.engine.database import Database
from store.operations import api_keys

CACHE_SECONDS = 10.0
_CACHED = 1024


class Keys:
    """Tells whether a key is valid, and remembers valid keys for a few seconds.

    The database's index compares SHA-256 digests, so the time that it takes reveals nothing about a key. A revoked key
    works for at most `CACHE_SECONDS` more.
    """

    def __init__(self, db: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._db, self._clock = db, clock
        self._known: dict[bytes, tuple[float, str]] = {}

    async def valid(self, key: str) -> bool:
        """Whether the key exists and has not been revoked."""
        return await self.name_of(key) is not None

    async def name_of(self, key: str) -> str | None:
        """The name of the key; None if there is no such key, or it has been revoked."""
        digest, now = hashlib.sha256(key.encode("utf-8", "replace")).digest(), self._clock()
        until, name = self._known.get(digest, (0.0, ""))
        if until > now:
            return name
        async with self._db.transaction() as tx:
            found = await api_keys.find(tx, key)
        if found is None:
            self._known.pop(digest, None)
            return None
        if len(self._known) >= _CACHED:
            self._known.clear()
        self._known[digest] = (now + CACHE_SECONDS, found.name)
        return found.name


def _presented(request: Request, *, allow_basic: bool) -> str:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic" and allow_basic:
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


class OpenRoute(APIRoute):
    """A route that needs no key. The size of its body is bounded."""

    limit = SINGLE
    lenient = False
    """If true, the handler checks each item for values that the database cannot hold."""
    known_parameters_only = False
    """Mail programs, proxies and providers add parameters of their own to the addresses that they call."""

    async def admit(self, request: Request) -> None:
        """Raise a problem to refuse the request before its body is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's hook: admit the request, bound its body, then call the handler."""
        handle = super().get_route_handler()
        parameters = Parameters(self.dependant) if self.known_parameters_only else None

        async def bounded(request: Request) -> Response:
            await self.admit(request)
            if parameters is not None:
                parameters.check(request)
            if self.body_field is not None and _has_body(request) and not is_json(media_type(request)):
                raise ProblemError(415, "unsupported-media-type", "Send the body as application/json.")
            inner = BoundedRequest(request.scope, request.receive)
            inner.limit, inner.lenient = self.limit, self.lenient
            return await handle(inner)

        return bounded


class KeyedRoute(OpenRoute):
    """A route that requires an API key before it reads the body, and refuses unknown parameters."""

    known_parameters_only = True
    allow_basic = False

    async def admit(self, request: Request) -> None:
        """401 without a valid key."""
        known: Keys = request.app.state.context.keys
        key = _presented(request, allow_basic=self.allow_basic)
        name = await known.name_of(key) if key else None
        if name is None:
            detail = "Send `Authorization: Bearer <API key>`; make one with `perennial key create NAME`."
            if self.allow_basic:
                detail += " Or send it as the user name of HTTP Basic; a `writeKey` in the body is not read."
            challenge = 'Basic realm="perennial"' if self.allow_basic else "Bearer"
            raise ProblemError(401, "unauthorized", detail, headers={"WWW-Authenticate": challenge})
        request.state.key_name = name


class KeyedLenientBatchRoute(KeyedRoute):
    """A keyed route that takes larger bodies. Its handler checks the items one by one."""

    limit = BATCH
    lenient = True


class SegmentRoute(KeyedLenientBatchRoute):
    """A route that Segment's clients call."""

    allow_basic = True
