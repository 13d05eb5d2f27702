"""The way out that every email carries: a page for people, one click for mail programs (RFC 8058)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse

from api.auth import OpenRoute
from api.context import Context, Ctx
from api.problems import documented
from api.unsubscribe_page import page
from api.webhooks.feedback import about
from store import contacts, events, messages, suppressions
from tracks.links import verify

router = APIRouter(tags=["callbacks"], route_class=OpenRoute)
Token = Annotated[str, Path(max_length=200, description="The signed token from the email's link.")]
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def _answer(state: Literal["ask", "done", "unknown"]) -> HTMLResponse:
    return HTMLResponse(page(state), 404 if state == "unknown" else 200, _HEADERS)


@router.get(
    "/u/{token}",
    summary="Ask before unsubscribing",
    response_class=HTMLResponse,
    responses={404: {"description": "No such link"}},
)
async def get_unsubscribe(token: Token, ctx: Ctx) -> HTMLResponse:
    """A page with a button. Opening it changes nothing: mail programs open links by themselves."""
    if verify(ctx.settings.signing_secret, token) is None:
        return _answer("unknown")
    return _answer("ask")


@router.post(
    "/u/{token}",
    summary="Unsubscribe",
    response_class=HTMLResponse,
    responses={404: {"description": "No such link"}, **documented(413)},
)
async def post_unsubscribe(token: Token, request: Request, ctx: Ctx) -> HTMLResponse:
    """Suppresses the contact's address at once and tells their tracks. Repeating it changes nothing."""
    message_id = verify(ctx.settings.signing_secret, token)
    if message_id is None:
        return _answer("unknown")
    await _leave(ctx, message_id)
    return _answer("done")


async def _leave(ctx: Context, message_id: str) -> None:
    now = datetime.now(UTC)
    async with ctx.db.transaction() as tx:
        message = await messages.get(tx, message_id)
        person = await contacts.get(tx, message.contact_id) if message else None
        if message is None or person is None:
            return  # erased meanwhile: nobody is left to write to
        if person.email:
            await suppressions.add(tx, "email", person.email, "unsubscribed", now)
        accepted = await events.accept(
            tx,
            events.Event(
                event_id=f"unsubscribe:{message.id}",
                contact_id=person.id,
                name="contact.unsubscribed",
                properties=about(message) | {"channel": "email", "reason": "unsubscribed"},
                occurred_at=now,
            ),
            pace=ctx.settings.pace_at_entry,
        )
    ctx.metrics.event("unsubscribe", accepted)
