"""The OpenAPI document: FastAPI's own, plus the API keys that routes require and all refusals as problems."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse

from api.http.overload import FREE
from api.http.problems import MEDIA_TYPE, TITLES

PATH = "/openapi.json"
_SCHEMES = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, made with `perennial key create NAME`.",
    },
    "writeKey": {
        "type": "http",
        "scheme": "basic",
        "description": "Segment's way: the API key as the user name, no password.",
    },
}
_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}


_ANYWHERE = {"429": "overloaded", "503": "unavailable"}
"""Every call that uses the database may get these answers. Both have `Retry-After`."""


def install(app: FastAPI) -> None:
    """Make `app.openapi()` return the corrected document."""
    original: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _correct(original())
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def serve(app: FastAPI) -> None:
    """Serve the document at `PATH`. It is serialized only once: it is long, and callers need no key."""

    @lru_cache(1)
    def written() -> bytes:
        return bytes(JSONResponse(app.openapi()).body)

    @app.get(PATH, include_in_schema=False)
    async def openapi() -> Response:
        return Response(written(), media_type="application/json")


def _correct(document: dict[str, Any]) -> None:
    document["components"]["securitySchemes"] = _SCHEMES
    for path, methods in document["paths"].items():
        for call in methods.values():
            if path == "/v1/batch":
                call["security"] = [{"writeKey": []}, {"key": []}]
            elif path.startswith("/v1/"):
                call["security"] = [{"key": []}]
            if not path.startswith(FREE):
                for status, word in _ANYWHERE.items():
                    call["responses"].setdefault(status, {"description": TITLES[word], "content": _PROBLEM})
            for status, answer in call["responses"].items():
                described = answer.get("content", {})
                if status[0] in "45" and (MEDIA_TYPE in described or "HTTPValidationError" in str(described)):
                    answer["content"] = _PROBLEM
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
