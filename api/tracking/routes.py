"""The links and the picture of tracked messages. A link redirects only to addresses that are in the message."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from api.http.auth import OpenRoute
from api.http.context import Context, Ctx
from api.http.overload import vouch
from api.pages.dead_link import PIXEL, page
from api.pages.rendering import HEADERS
from api.tracking.bot_requests import seen
from api.tracking.engagement_events import HoldTimes, note
from store.engine.errors import BusyError
from store.sending.feedback import engagement
from store.sending.feedback.engagement import Kind
from tracks.shared.link_tokens import verify_click, verify_open

router = APIRouter(tags=["callbacks"], route_class=OpenRoute)
Token = Annotated[str, Path(max_length=200, description="The signed token from the message.")]
_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}
_AWAY = (DBAPIError, PoolTimeout, OSError, BusyError)
_RESPONSES: dict[int | str, dict[str, Any]] = {
    302: {"description": "Redirects to the target of the link"},
    404: {"description": "No such link", "content": {"text/html": {}}},
    503: {"description": "The target cannot be looked up now", "content": {"text/html": {}}},
}


@router.get("/c/{token}", status_code=302, summary="Follow a link", response_class=Response, responses=_RESPONSES)
async def get_click(token: Token, request: Request, ctx: Ctx) -> Response:
    """Stores the click, then redirects. The request shows whether a person or a machine followed the link."""
    return await _follow(token, request, ctx)


@router.head("/c/{token}", status_code=302, summary="Look at a link", response_class=Response, responses=_RESPONSES)
async def head_click(token: Token, request: Request, ctx: Ctx) -> Response:
    """The same without a body. Only machines send HEAD."""
    return await _follow(token, request, ctx)


@router.get(
    "/o/{token}",
    summary="Load the picture",
    response_class=Response,
    responses={200: {"content": {"image/gif": {}}}, 503: {"description": "The opening could not be stored"}},
)
async def get_open(token: Token, request: Request, ctx: Ctx) -> Response:
    """One transparent pixel for any token: a mail program can show nothing else. A valid token stores the opening."""
    message_id, status = verify_open(ctx.settings.signing_secret, token), 200
    if message_id is not None:
        vouch(request)
        try:
            await _note(ctx, request, message_id, "open", None)
        except _AWAY:
            status = 503
    return Response(PIXEL, status, _HEADERS, "image/gif")


async def _follow(token: str, request: Request, ctx: Context) -> Response:
    named = verify_click(ctx.settings.signing_secret, token)
    if named is None:
        ctx.metrics.rejected.labels("click", "forged").inc()
        return _page(ctx, "unknown")
    vouch(request)
    try:
        url = await _note(ctx, request, named[0], "click", named[1])
    except _AWAY:  # the target is stored in the database too
        return _page(ctx, "busy")
    return RedirectResponse(url, 302, _HEADERS) if url else _page(ctx, "unknown")


async def _note(ctx: Context, request: Request, message_id: str, kind: Kind, link: int | None) -> str | None:
    """Store the touch. Returns the target of the link, or None if it has none any more."""
    async with ctx.db.transaction() as tx:
        found = await engagement.find(tx, message_id, datetime.now(UTC))
        if found is None or (link is not None and not link <= found.links) or (kind == "click" and not found.urls):
            return None
        accepted = await note(tx, found, kind, link, seen(kind, request.method, _lower(request)), _hold_times(ctx))
    if accepted is not None:
        ctx.metrics.event(kind, accepted)
    # The hidden link has the same target as the first one, in case a person finds it after all.
    return found.urls[max(link, 1) - 1] if link is not None else None


def _lower(request: Request) -> Mapping[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _hold_times(ctx: Context) -> HoldTimes:
    return HoldTimes(ctx.settings.click_hold, ctx.settings.click_soon, ctx.settings.pace_at_entry)


def _page(ctx: Context, state: Literal["unknown", "busy"]) -> HTMLResponse:
    shown = page(state, ctx.brand)
    if state == "busy":
        return HTMLResponse(shown, 503, HEADERS | {"Retry-After": "5"})
    return HTMLResponse(shown, 404, HEADERS)
