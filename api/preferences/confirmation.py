"""Double opt-in: the page on which a contact confirms the consent that a message asks for."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from api.feedback.provider_feedback import about
from api.http.auth import OpenRoute
from api.http.context import Context, Ctx
from api.http.overload import vouch
from api.http.problems import documented
from api.pages.rendering import answer
from api.pages.texts.languages import texts_for
from api.pages.texts.texts import Texts, best, isolated
from api.preferences.links import NOT_FOUND, Token, addressee, languages_of, nobody
from store.people.consents import consents, preferences
from store.people.consents.consents import Status
from store.published import policies
from store.schema.rows import Contact
from store.sending.messages.messages import Message
from tracks.shared.link_tokens import unsubscribe_url, verify_confirm

router = APIRouter(tags=["callbacks"], route_class=OpenRoute)
SOURCE = "confirmation link"


@router.get("/confirm/{token}", summary="Ask for a confirmation", response_class=HTMLResponse, responses=NOT_FOUND)
async def get_confirmation(token: Token, request: Request, ctx: Ctx) -> HTMLResponse:
    """A page with a button. Opening it confirms nothing, because link scanners open every link."""
    async with ctx.db.transaction() as tx:
        found = await addressee(tx, verify_confirm(ctx.settings.signing_secret, token))
        if found is None:
            return nobody(request, ctx)
        return await _show(ctx, tx, request, *found)


@router.head("/confirm/{token}", include_in_schema=False)
async def head_confirmation(token: Token, request: Request, ctx: Ctx) -> HTMLResponse:
    """The same answer without a body."""
    return await get_confirmation(token, request, ctx)


@router.post(
    "/confirm/{token}",
    summary="Confirm",
    response_class=HTMLResponse,
    responses={**NOT_FOUND, **documented(413)},
)
async def post_confirmation(token: Token, request: Request, ctx: Ctx) -> HTMLResponse:
    """Confirms the contact's pending consent to the message's topic on its channel. Repeating it changes nothing."""
    async with ctx.db.transaction() as tx:
        found = await addressee(tx, verify_confirm(ctx.settings.signing_secret, token))
        if found is None or found[0].recipient:
            return nobody(request, ctx)
        vouch(request)
        message, person = found
        told = await preferences.confirm(
            tx,
            person.id,
            message.channel,
            message.topic,
            SOURCE,
            through=message,
            about=about(message),
            pace=ctx.settings.pace_at_entry,
        )
        shown = await _show(ctx, tx, request, message, person)
    for accepted in told.accepted if told else ():
        ctx.metrics.event("preferences", accepted)
    return shown


async def _show(ctx: Context, tx: AsyncConnection, request: Request, message: Message, person: Contact) -> HTMLResponse:
    held = await consents.current(tx, person.id)
    status = next((c.status for c in held if (c.channel, c.topic) == (message.channel, message.topic)), None)
    if status == "pending" and not preferences.reached(person, message):
        status = None  # the contact has another address now: the message cannot prove their consent
    tags = languages_of(request, person)
    texts = texts_for(tags)
    topic = (await policies.current(tx)).policy.topics.get(message.topic)
    name = best(topic.names, tags, topic.name) if topic else message.topic or texts.channel[message.channel]
    title, sentence = _words(texts, status)
    settings = ctx.settings
    return answer(
        "confirmation.html",
        texts,
        title,
        ctx.brand,
        sentence=sentence.replace("{topic}", isolated(name)),
        pending=status == "pending",
        to_preferences=unsubscribe_url(settings.link_base, settings.signing_secret, message.id),
    )


def _words(texts: Texts, status: Status | None) -> tuple[str, str]:
    if status == "pending":
        return texts.confirm_title, texts.confirm_text
    if status == "granted":
        return texts.confirmed, texts.confirmed_text
    return texts.nothing_to_confirm, texts.nothing_to_confirm_text
