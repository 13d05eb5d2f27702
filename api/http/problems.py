"""Problem responses (RFC 9457): every refusal has the same form and names all bad fields at once."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import compile_path
from starlette.types import Scope

from api.http.request_ids import HEADER, request_id
from store.engine.errors import BusyError, UnstorableError

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:perennial:problem:"


class FieldProblem(BaseModel):
    """One error, and where it is."""

    detail: str = Field(description="What is wrong and what would be right.")
    pointer: str | None = Field(default=None, description="JSON pointer into the request's body.", examples=["#/email"])
    parameter: str | None = Field(default=None, description="The path, query or header parameter.", examples=["limit"])
    line: int | None = Field(default=None, description="Line of a track or template, from 1.")
    step: str | None = Field(default=None, description="Id of the track's step.")


class Problem(BaseModel):
    """Why a request was refused (RFC 9457, `application/problem+json`)."""

    type: str = Field(description="What kind of problem this is.", examples=[f"{TYPE_PREFIX}invalid-request"])
    title: str = Field(description="The kind of problem in a few words.")
    status: int = Field(description="The response's status code.")
    detail: str = Field(description="What happened this time.")
    errors: list[FieldProblem] = Field(default=[], description="All errors of the request.")
    request_id: str | None = Field(
        default=None, description="Id of the request, given if the service failed. Its log has the id too."
    )


TITLES: Mapping[str, str] = {
    "invalid-request": "The request does not describe something that can be done",
    "malformed-body": "The body cannot be read",
    "body-too-large": "The body is too large",
    "unsupported-media-type": "The body's media type is not one that is read here",
    "unauthorized": "A valid API key is needed",
    "too-slow": "The body came too slowly",
    "forbidden": "The signature is not valid",
    "key-in-public": "A key may not be where everybody can read it",
    "not-found": "There is no such thing",
    "method-not-allowed": "The method is not allowed here",
    "import-conflict": "The import is in no state for that",
    "reentry-refused": "The track's re-entry rule refuses this contact",
    "handoff-answered": "The handoff cannot have this answer now",
    "segment-not-live": "The segment's first version is still being filled",
    "score-not-live": "The score's first version is still being filled",
    "task-done": "The task was done before, in another way",
    "run-refused": "The run is in no state for that",
    "merge-refused": "The contacts cannot be merged, or the merge cannot be undone",
    "overloaded": "More requests than can be served now",
    "unavailable": "The service cannot answer now",
    "internal": "Something went wrong on this side",
}
_BY_STATUS = {
    400: "malformed-body",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    408: "too-slow",
    413: "body-too-large",
    415: "unsupported-media-type",
    422: "invalid-request",
    429: "overloaded",
    503: "unavailable",
}


class ProblemError(HTTPException):
    """Raise it to refuse the request with this problem. `extensions` become members of the response."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        errors: Sequence[FieldProblem] = (),
        *,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status_code=status, detail=detail, headers=dict(headers) if headers else None)
        self.kind = kind
        self.errors = tuple(errors)
        self.extensions = dict(extensions or {})


def invalid(errors: Iterable[FieldProblem], detail: str | None = None) -> ProblemError:
    """A 422 that lists `errors`."""
    found = list(errors)
    count = "1 thing is" if len(found) == 1 else f"{len(found)} things are"
    return ProblemError(422, "invalid-request", detail or f"{count} wrong; see `errors`.", found)


def not_published(what: str, errors: Iterable[FieldProblem]) -> ProblemError:
    """A 422 for a document, such as `track welcome`, that could not be published."""
    found = list(errors)
    count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
    return invalid(found, f"The {what} has {count}; nothing was published.")


def not_found(what: str) -> ProblemError:
    """A 404 that says what is missing."""
    return ProblemError(404, "not-found", f"There is no {what}.")


def pointer(parts: Iterable[str | int]) -> str:
    """A JSON pointer (RFC 6901) as a URI fragment-like text: `#/attributes/first~1name`."""
    return "#" + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def field_problems(errors: Iterable[Mapping[str, Any]], fields: Sequence[str] = ()) -> list[FieldProblem]:
    """Pydantic's errors, as FastAPI reports them (`loc` starts with body, query, path or header).

    `fields` are the body's valid fields, to suggest the right one for a misspelt name.
    """
    found = []
    for error in errors:
        place, *rest = error["loc"]
        message = str(error["msg"]).removeprefix("Value error, ")
        if place == "body":
            if error["type"] == "extra_forbidden" and len(rest) == 1:
                close = get_close_matches(str(rest[0]).lower(), fields, 1, 0.8)
                message += f"; did you mean '{close[0]}'?" if close else ""
            found.append(FieldProblem(detail=message, pointer=pointer(rest)))
        else:
            found.append(FieldProblem(detail=message, parameter=".".join(map(str, rest))))
    return found


def _fields(request: Request) -> list[str]:
    """The fields of the body that the request's route takes."""
    body = getattr(request.scope.get("route"), "body_field", None)
    model = body.field_info.annotation if body is not None else None
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def response(
    scope: Scope,
    status: int,
    kind: str,
    detail: str,
    errors: Iterable[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
    extensions: Mapping[str, Any] | None = None,
) -> JSONResponse:
    """The problem as a response."""
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + kind,
        "title": TITLES.get(kind, TITLES["internal"]),
        "status": status,
        "detail": detail,
    }
    listed = [error.model_dump(exclude_none=True) for error in errors]
    if listed:
        body["errors"] = listed
    if status >= 500:
        body["request_id"] = request_id(scope)
    # a 500 passes no middleware
    said = {"X-Content-Type-Options": "nosniff", HEADER: request_id(scope), **(headers or {})}
    return JSONResponse(body | dict(extensions or {}), status, said, media_type=MEDIA_TYPE)


def overloaded_error(seconds: int) -> ProblemError:
    """A 429 for a request that was not begun. The client may send it again after `seconds`."""
    detail = f"More requests than can be served now; nothing was done. Send it again in {seconds} s."
    return ProblemError(429, "overloaded", detail, headers={"Retry-After": str(seconds)})


def overloaded(scope: Scope, seconds: int) -> JSONResponse:
    """The same problem as a response."""
    error = overloaded_error(seconds)
    return response(scope, error.status_code, error.kind, error.detail, headers=error.headers)


def _about(request: Request) -> dict[str, str]:
    """What the log says about a failed request: its id and its route, not its path, which may hold a contact's id."""
    route = getattr(request.scope.get("route"), "path", "unmatched")
    return {"method": request.method, "route": route, "request_id": request_id(request.scope)}


def _allowed(request: Request) -> str | None:
    """The methods that documented routes accept at the request's path."""
    for path, calls in request.app.openapi()["paths"].items():
        if compile_path(path)[0].match(request.scope["path"]):
            return ", ".join(sorted(method.upper() for method in calls))
    return None


def install(app: FastAPI) -> None:
    """Answer every failure of `app` with a problem."""

    def unavailable(request: Request, why: str) -> JSONResponse:
        return response(request.scope, 503, "unavailable", why, headers={"Retry-After": "1"})

    async def on_problem(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        if isinstance(error, ProblemError):
            told = error.status_code, error.kind, error.detail, error.errors, error.headers, error.extensions
            return response(request.scope, *told)
        kind = _BY_STATUS.get(error.status_code, "internal")
        headers = dict(error.headers or {})
        if error.status_code == 405 and (allowed := _allowed(request)):
            headers["Allow"] = allowed  # Starlette names the methods of the first route that has the path
        return response(request.scope, error.status_code, kind, f"{error.detail}.", headers=headers)

    async def on_invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        problem = invalid(field_problems(error.errors(), _fields(request)))
        return response(request.scope, problem.status_code, problem.kind, problem.detail, problem.errors)

    async def on_database(request: Request, error: Exception) -> JSONResponse:
        log.error("database unavailable", error=type(error).__name__, **_about(request))
        return unavailable(request, "The database does not answer; try again.")

    async def on_full(request: Request, error: Exception) -> JSONResponse:
        log.error("no connection was free in time", **_about(request))
        return overloaded(request.scope, random.randint(1, 5))

    async def on_unstorable(request: Request, error: Exception) -> JSONResponse:
        return response(request.scope, 422, "invalid-request", f"{str(error).capitalize()}.")

    async def on_busy(request: Request, error: Exception) -> JSONResponse:
        log.warning("repeated conflicts between transactions", **_about(request))
        return unavailable(request, "Too many changes at once; try again.")

    async def on_bug(request: Request, error: Exception) -> JSONResponse:
        # The server logs the error after this answer, in the same task, so the log line gets the request's id.
        structlog.contextvars.bind_contextvars(**_about(request))
        return response(request.scope, 500, "internal", "The failure has been logged.")

    app.add_exception_handler(HTTPException, on_problem)
    app.add_exception_handler(RequestValidationError, on_invalid)
    for away in (OperationalError, InterfaceError):
        app.add_exception_handler(away, on_database)
    app.add_exception_handler(PoolTimeout, on_full)
    app.add_exception_handler(UnstorableError, on_unstorable)
    app.add_exception_handler(BusyError, on_busy)
    app.add_exception_handler(Exception, on_bug)


def documented(*statuses: int, conflict: str = "reentry-refused") -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route for the OpenAPI document. `conflict` is the kind of problem that 409 means there."""
    return {
        status: {
            "model": Problem,
            "description": TITLES[_BY_STATUS.get(status, conflict if status == 409 else "internal")],
            "content": {MEDIA_TYPE: {}},
        }
        for status in statuses
    }
