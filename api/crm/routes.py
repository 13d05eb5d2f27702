"""The CRM's pages for salespeople: open tasks, one contact, and what can be done there. Plain HTML without scripts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from api.crm.visitors import Visitor, admitted, nobody, posted, refuse_other_sites, show, visitor
from api.http.auth import OpenRoute
from api.http.context import Context, Ctx
from api.http.crm_sessions import COOKIE, LASTS, PATH, Pass
from api.http.overload import vouch
from api.http.pagination import CursorText
from api.http.problems import FieldProblem, documented, invalid, pointer
from store.people import contacts, crm_tasks
from store.people.crm import crm, crm_changes
from store.people.crm_tasks import Wanted
from store.runs.events.events import Accepted
from tracks.contacts.contact_fields import storable_text

router = APIRouter(prefix=PATH, tags=["crm pages"], route_class=OpenRoute)
IN_A_PAGE = 50
DONE_SHOWN = 20
"""How many of a contact's last done tasks are shown."""
OUTCOMES = {"done": "Done", "accepted": "Accept", "rejected": "Reject"}
"""The outcomes that the page offers, with the words on the buttons."""
LONGEST_STAGE, LONGEST_NOTE = 200, 10_000

Token = Annotated[str, Path(max_length=1000, description="The signed token from the person's link.")]
Whose = Annotated[Literal["all", "mine", "nobody"], Query(description="Whose tasks: by default all.")]
ContactId = Annotated[str, Path(max_length=128, description="Your id of the contact.")]
_SIGNED_OUT: dict[int | str, dict[str, Any]] = {401: {"description": "Nobody is signed in: a page that says so"}}
_MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "No such contact: a page that says so"}}
_MOVED: dict[int | str, dict[str, Any]] = {303: {"description": "Leads on to the page"}}


@router.get("/sign-in/{token}", summary="Ask whether to sign in", response_class=HTMLResponse, responses=_SIGNED_OUT)
async def get_sign_in(token: Token, ctx: Ctx) -> HTMLResponse:
    """A page with a button. Opening it signs nobody in, because programs open links too."""
    async with ctx.db.transaction() as tx:
        found = await admitted(tx, ctx, "link", token)
    if found is None:
        return nobody(ctx)
    return show(ctx, "crm_sign_in.html", "Sign in", person=found.person)


@router.post("/sign-in/{token}", summary="Sign in", status_code=303, responses=_SIGNED_OUT | _MOVED | documented(403))
async def post_sign_in(token: Token, request: Request, ctx: Ctx) -> Response:
    """Signs the browser in for 12 hours, or until the link expires."""
    refuse_other_sites(request)
    async with ctx.db.transaction() as tx:
        found = await admitted(tx, ctx, "link", token)
    if found is None:
        return nobody(ctx)
    vouch(request)
    until = min(found.until, datetime.now(UTC) + LASTS)
    answer = RedirectResponse(PATH, 303)
    session = ctx.crm.seal("session", Pass(found.person, found.made, until))
    answer.set_cookie(COOKIE, session, expires=until, **_cookie(ctx))
    return answer


@router.post("/sign-out", summary="Sign out", status_code=303, responses=_MOVED | documented(400, 403, 413))
async def post_sign_out(request: Request, ctx: Ctx) -> Response:
    """Deletes the cookie."""
    await posted(ctx, request)
    answer = RedirectResponse(PATH, 303)
    answer.delete_cookie(COOKIE, **_cookie(ctx))
    return answer


@router.get("", summary="Show open tasks", response_class=HTMLResponse, responses=_SIGNED_OUT | documented(422))
async def get_tasks(request: Request, ctx: Ctx, whose: Whose = "all", cursor: CursorText = None) -> HTMLResponse:
    """The page of open tasks, the first due first."""
    listing = ["crm page", whose]
    async with ctx.db.transaction() as tx:
        person = await visitor(tx, ctx, request)
        if person is None:
            return nobody(ctx)
        position = ctx.cursors.read(listing, cursor)
        after = None
        if position:
            due = str(position[0])
            after = (datetime.fromisoformat(due) if due else None, str(position[1]))
        owner = {"all": None, "mine": person.person, "nobody": ""}[whose]
        found = await crm_tasks.page(tx, Wanted(done=False, owner=owner), after=after, limit=IN_A_PAGE + 1)
    tasks, following = ctx.cursors.cut(
        listing, found, IN_A_PAGE, lambda one: [one.due_at.isoformat() if one.due_at else "", one.id]
    )
    return show(
        ctx,
        "crm_tasks.html",
        "Open tasks",
        visitor=person,
        whose=whose,
        tasks=[_row(one) for one in tasks],
        following=following,
    )


@router.get(
    "/contacts/{contact_id}",
    summary="Show a contact to salespeople",
    response_class=HTMLResponse,
    responses=_SIGNED_OUT | _MISSING,
)
async def get_contact_page(contact_id: ContactId, request: Request, ctx: Ctx) -> HTMLResponse:
    """The page of one contact: how to reach them, stage, tasks and notes."""
    async with ctx.db.transaction() as tx:
        person = await visitor(tx, ctx, request)
        return nobody(ctx) if person is None else await _contact_page(tx, ctx, person, contact_id)


@router.post(
    "/contacts/{contact_id}",
    summary="Do a task, set the stage or add a note",
    status_code=303,
    responses=_SIGNED_OUT | _MISSING | _MOVED | documented(400, 403, 413, 422),
)
async def post_contact_page(contact_id: ContactId, request: Request, ctx: Ctx) -> Response:
    """Does what the page's buttons say, in the name of who is signed in, and leads back to the page."""
    accepted: list[Accepted] = []
    async with ctx.db.transaction() as tx:
        person = await visitor(tx, ctx, request)
    if person is None:
        return nobody(ctx)
    form = {name: storable_text(value) for name, value in (await posted(ctx, request)).items()}
    async with ctx.db.transaction() as tx:
        about = await contacts.hold(tx, contact_id)
        if about is None:
            return _no_contact(ctx, person)
        accepted = await _act(tx, ctx, person, about.id, form)
    for one in accepted:
        ctx.metrics.event("crm", one)
    return RedirectResponse(f"{PATH}/contacts/{quote(about.id, safe='')}", 303)


async def _act(
    tx: AsyncConnection, ctx: Context, person: Visitor, contact_id: str, form: dict[str, str]
) -> list[Accepted]:
    pace, note = ctx.settings.pace_at_entry, form.get("note", "").strip()[:LONGEST_NOTE]
    match form.get("do"):
        case "stage":
            stage = form.get("stage", "").strip()[:LONGEST_STAGE] or None
            return list(await crm_changes.set_stage(tx, contact_id, stage, pace=pace) or ())
        case "note":
            if note:
                await crm_changes.add_note(tx, contact_id, note, author=person.person)
            return []
        case outcome if outcome in OUTCOMES:
            task = await crm_tasks.get(tx, form.get("task", ""))
            if task is None or task.contact_id != contact_id:
                raise _refused("task", "is no task of this contact")
            done = await crm_tasks.complete(tx, task.id, outcome, by=person.person, note=note or None, pace=pace)
            return [done.accepted] if done and done.accepted else []
        case _:
            raise _refused("do", f"is none of the page's buttons: {', '.join(('stage', 'note', *OUTCOMES))}")


def _refused(name: str, detail: str) -> Exception:
    return invalid([FieldProblem(detail=detail, pointer=pointer([name]))])


async def _contact_page(tx: AsyncConnection, ctx: Context, person: Visitor, contact_id: str) -> HTMLResponse:
    found = await contacts.get(tx, contact_id)
    if found is None:
        return _no_contact(ctx, person)
    card = await crm.get(tx, found.id)
    tasks = await crm_tasks.page(tx, Wanted(done=False, contact_id=found.id), limit=crm.MOST)
    done = await crm_tasks.last_done(tx, found.id, limit=DONE_SHOWN)
    return show(
        ctx,
        "crm_contact.html",
        found.id,
        visitor=person,
        contact=found,
        attributes=sorted((found.attributes or {}).items()),
        card=card,
        notes=[(one.body, one.author, _time(one.created_at)) for one in reversed(card.notes if card else ())],
        tasks=[_row(one) for one in tasks],
        done=[_row(one) for one in done],
        outcomes=OUTCOMES,
    )


def _no_contact(ctx: Context, person: Visitor) -> HTMLResponse:
    return show(ctx, "crm_no_contact.html", "No such contact", status=404, visitor=person)


def _row(task: crm_tasks.Task) -> dict[str, Any]:
    overdue = not task.done and task.due_at is not None and task.due_at < datetime.now(UTC)
    return {
        "id": task.id,
        "title": task.title,
        "contact_id": task.contact_id,
        "page": f"{PATH}/contacts/{quote(task.contact_id, safe='')}",
        "owner": task.owner,
        "due": _time(task.due_at) if task.due_at else None,
        "overdue": overdue,
        "outcome": task.outcome,
        "done_at": _time(task.done_at) if task.done_at else None,
        "done_by": task.done_by,
    }


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _cookie(ctx: Context) -> dict[str, Any]:
    """Scripts cannot read it; it goes nowhere else, and with no form of another site."""
    secure = ctx.settings.public_url.startswith("https://")
    return {"path": PATH, "secure": secure, "httponly": True, "samesite": "lax"}
