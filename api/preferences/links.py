"""What the pages behind a message's signed links have in common: the token, whom it names, and the page for nobody."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from api.http.context import Context
from api.pages.rendering import unknown
from api.pages.texts.languages import texts_for
from api.pages.texts.texts import wanted
from store.people import contacts
from store.schema.rows import Contact
from store.sending.messages import messages
from store.sending.messages.messages import Message

Token = Annotated[str, Path(max_length=200, description="The signed token from the message's link.")]
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"description": "No such link, or its contact was erased"}}


def languages_of(request: Request, person: Contact | None) -> list[str]:
    """The reader's languages, best first."""
    return wanted(person.locale if person else None, request.headers.get("accept-language", ""))


async def addressee(tx: AsyncConnection, message_id: str | None) -> tuple[Message, Contact] | None:
    """The message that a link names, and its contact; None if the token was invalid or the contact was erased."""
    message = await messages.get(tx, message_id) if message_id else None
    person = await contacts.get(tx, message.contact_id) if message else None
    return (message, person) if message and person else None


def nobody(request: Request, ctx: Context) -> HTMLResponse:
    """The page for a link of which no contact is known."""
    return unknown(texts_for(languages_of(request, None)), ctx.brand)
