"""The unsubscribe link of a message to somebody other than the contact: it concerns the recipient's address only.

It never changes what the contact agreed to, shows nothing about the contact, and tells the contact's tracks nothing.
"""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from api.http.context import Context
from api.pages.rendering import answer
from api.pages.texts.languages import texts_for
from api.preferences.links import languages_of, nobody
from api.preferences.preferences_view import ONE_CLICK
from store.people.consents import suppressions
from store.people.consents.permission import UNSUBSCRIBED
from store.sending.messages.messages import Message


async def show(ctx: Context, tx: AsyncConnection, request: Request, message: Message) -> HTMLResponse:
    """The page with the button; without it where nothing goes to the address any more."""
    if message.address_hash is None:
        return nobody(request, ctx)
    left = await suppressions.find_hashed(tx, message.channel, message.address_hash) is not None
    return _page(ctx, request, message, left=left)


async def leave(ctx: Context, tx: AsyncConnection, request: Request, message: Message) -> HTMLResponse:
    """Send nothing more to the address that the message was sent to. Repeating it changes nothing."""
    if message.address_hash is None:
        return nobody(request, ctx)
    await suppressions.add_hashed(tx, [(message.channel, message.address_hash)], UNSUBSCRIBED)
    return _page(ctx, request, message, left=True)


def _page(ctx: Context, request: Request, message: Message, *, left: bool) -> HTMLResponse:
    texts = texts_for(languages_of(request, None))
    title = texts.left if left else texts.leave
    sentence = (texts.left_channel if left else texts.leave_channel)[message.channel]
    return answer("somebody_else.html", texts, title, ctx.brand, sentence=sentence, left=left, one_click=ONE_CLICK)
