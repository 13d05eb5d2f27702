"""The unsubscribe link of every message: it opens the preference page. Mail programs use one click (RFC 8058).

Opening the page changes nothing, because link scanners follow every link. Only a POST changes something.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from api.feedback.provider_feedback import about
from api.http.auth import OpenRoute
from api.http.context import Context, Ctx
from api.http.overload import vouch
from api.http.problems import FieldProblem, documented, invalid, pointer
from api.pages.rendering import answer
from api.pages.texts.languages import texts_for
from api.pages.texts.texts import Texts
from api.preferences import somebody_else
from api.preferences.choices import choices, chosen, everything_off
from api.preferences.links import NOT_FOUND, Token, addressee, languages_of, nobody
from api.preferences.preferences_view import DO, View, day
from store.people import contacts
from store.people.consents import consents, preferences, suppressions
from store.people.consents.consents import Change
from store.published import policies
from store.published.policies import PolicyVersion
from store.runs.events.events import Accepted
from store.schema.rows import Channel, Contact
from store.sending.messages.messages import Message
from tracks.shared.link_tokens import verify

router = APIRouter(tags=["callbacks"], route_class=OpenRoute)
ACTIONS = ("save", "all-off", "pause", "resume")
"""The values that the page's buttons post as `do`."""
PAUSE = timedelta(days=30)
ONE_CLICK_SOURCE, PAGE_SOURCE = "unsubscribe link", "preference page"


@router.get("/u/{token}", summary="Show the preferences", response_class=HTMLResponse, responses=NOT_FOUND)
async def get_preferences(token: Token, request: Request, ctx: Ctx) -> HTMLResponse:
    """The page: unsubscribe, choose topics and channels, pause. Opening it changes nothing."""
    async with ctx.db.transaction() as tx:
        found = await addressee(tx, verify(ctx.settings.signing_secret, token))
        if found is None:
            return nobody(request, ctx)
        if found[0].recipient:
            return await somebody_else.show(ctx, tx, request, found[0])
        return await _show(ctx, tx, request, *found, None)


@router.head("/u/{token}", include_in_schema=False)
async def head_preferences(token: Token, request: Request, ctx: Ctx) -> HTMLResponse:
    """The same answer without a body."""
    return await get_preferences(token, request, ctx)


@router.post(
    "/u/{token}",
    summary="Unsubscribe, or change the preferences",
    response_class=HTMLResponse,
    responses={**NOT_FOUND, **documented(408, 413, 422)},
)
async def post_preferences(token: Token, request: Request, ctx: Ctx) -> HTMLResponse:
    """Does what the page's buttons say. Any other POST unsubscribes, as mail programs do with one click.

    It unsubscribes from the message's topic, or from its whole channel if the message has no topic. It holds from the
    answer on, also for messages that already wait, and tracks receive an event. Repeating it changes nothing.

    The link of a message to somebody else than the contact unsubscribes their address only.
    """
    named = verify(ctx.settings.signing_secret, token)
    if named is None:  # before the body is read
        return nobody(request, ctx)
    vouch(request)
    form = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)[:2000]
    action = dict(form).get(DO)
    if action is not None and action not in ACTIONS:
        detail = f"is none of the page's buttons: {', '.join(ACTIONS)}"
        raise invalid([FieldProblem(detail=detail, pointer=pointer([DO]))])
    async with ctx.db.transaction() as tx:
        found = await addressee(tx, named)
        if found and found[0].recipient:
            return await somebody_else.leave(ctx, tx, request, found[0])
        person = await contacts.hold(tx, found[1].id) if found else None
        if found is None or person is None:
            return nobody(request, ctx)
        message, _ = found
        texts = texts_for(languages_of(request, person))
        accepted: list[Accepted] = []
        match action:
            case "pause" | "resume":
                until = datetime.now(UTC) + PAUSE if action == "pause" else None
                await contacts.pause(tx, person.id, until)
            case "save" | "all-off":
                version = await policies.current(tx)
                shown = f"policy {version.version}, {texts.language}"
                if action == "all-off":
                    changes = everything_off(PAGE_SOURCE, shown)
                else:
                    now = choices(version.policy, person, *await _held(tx, person))
                    proven = message.channel if preferences.reached(person, message) else None
                    changes = chosen(now, form, PAGE_SOURCE, shown, proven=proven)
                accepted = await _tell(ctx, tx, message, changes)
            case _:
                leave = Change(message.channel, message.topic, "withdrawn", ONE_CLICK_SOURCE)
                accepted = await _tell(ctx, tx, message, [leave])
        now_person = await contacts.get(tx, person.id)
        assert now_person is not None
        shown_page = await _show(ctx, tx, request, message, now_person, action or "left")
    for one in accepted:
        ctx.metrics.event("preferences", one)
    return shown_page


async def _held(tx: AsyncConnection, person: Contact) -> tuple[list[consents.Consent], dict[Channel, str]]:
    """The contact's consents, and the reasons why their addresses are suppressed."""
    suppressed: dict[Channel, str] = {}
    addresses: list[tuple[Channel, str | None]] = [("email", person.email), ("sms", person.phone)]
    for channel, address in addresses:
        found = await suppressions.find(tx, channel, address) if address else None
        if found:
            suppressed[channel] = found.reason
    return await consents.current(tx, person.id), suppressed


async def _tell(ctx: Context, tx: AsyncConnection, message: Message, changes: list[Change]) -> list[Accepted]:
    told = await preferences.tell(
        tx, message.contact_id, changes, through=message, about=about(message), pace=ctx.settings.pace_at_entry
    )
    return told.accepted if told else []


async def _show(
    ctx: Context, tx: AsyncConnection, request: Request, message: Message, person: Contact, action: str | None
) -> HTMLResponse:
    version: PolicyVersion = await policies.current(tx)
    tags = languages_of(request, person)
    texts = texts_for(tags)
    paused = person.paused_until
    held, suppressed = await _held(tx, person)
    view = View(
        texts=texts,
        tags=tags,
        policy=version.policy,
        channels=choices(version.policy, person, held, suppressed),
        agreed=_agreed(held, message, person),
        channel=message.channel,
        topic=message.topic,
        paused_until=day(paused, person.timezone) if paused and paused > datetime.now(UTC) else None,
        done=None,
    )
    shown = view if action is None else view.after(*_done(view, texts, message, action))
    return answer("preferences.html", texts, shown.title, ctx.brand, view=shown)


def _agreed(held: list[consents.Consent], message: Message, person: Contact) -> date | None:
    """Day on which the contact consented to the message's topic; None without consent."""
    found = (c for c in held if (c.channel, c.topic, c.status) == (message.channel, message.topic, "granted"))
    granted = next(found, None)
    return day(granted.confirmed_at or granted.at, person.timezone) if granted else None


def _done(view: View, texts: Texts, message: Message, action: str) -> tuple[str, str]:
    match action:
        case "pause":
            return texts.saved, view.pause_words
        case "resume":
            return texts.resumed, texts.resumed_hint
        case "save":
            return texts.saved, texts.saved_hint
        case "all-off":
            return texts.off, texts.off_hint
        case _ if message.topic:
            return texts.left, texts.left_topic[message.channel].replace("{topic}", view.named(message.topic))
        case _:
            return texts.left, texts.left_channel[message.channel]
