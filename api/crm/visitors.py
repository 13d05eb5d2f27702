"""Who opens a page of the CRM, and that a form comes from that page itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from api.http.bodies.reading import parse_form
from api.http.context import Context
from api.http.crm_sessions import COOKIE, Pass, Purpose
from api.http.overload import vouch
from api.http.problems import ProblemError
from api.pages.rendering import answer
from api.pages.texts import en
from store.people.crm import crm_people

FORM = "form"
"""The field with the token of the session."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """A salesperson who is signed in. `form` is the token for the page's forms."""

    person: str
    form: str


async def admitted(tx: AsyncConnection, ctx: Context, purpose: Purpose, token: str) -> Pass | None:
    """Whom a link or a session names, if it still works and the person was not shut out."""
    found = ctx.crm.read(purpose, token, datetime.now(UTC))
    since = await crm_people.valid_from(tx, found.person) if found else None
    return found if found and since and since <= found.made else None


async def visitor(tx: AsyncConnection, ctx: Context, request: Request) -> Visitor | None:
    """Who is signed in; None for nobody."""
    session = request.cookies.get(COOKIE, "")
    found = await admitted(tx, ctx, "session", session)
    if found is None:
        return None
    vouch(request)
    return Visitor(found.person, ctx.crm.form_token(session))


async def posted(ctx: Context, request: Request) -> Mapping[str, str]:
    """The form that was posted from one of our pages in this session.

    Raises:
        ProblemError: 403 if another site made the form.
    """
    refuse_other_sites(request)
    form = parse_form(await request.body())
    if not ctx.crm.is_form_token(request.cookies.get(COOKIE, ""), form.get(FORM, "")):
        raise ProblemError(403, "forbidden", "This form is not of this sign-in: open the page again.")
    return form


def refuse_other_sites(request: Request) -> None:
    """Refuse a form that the browser says another site made. There is no `Origin` to look at, because the pages send no
    referrer.

    Raises:
        ProblemError: 403.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ProblemError(403, "forbidden", "Another site made this form.")


def show(ctx: Context, name: str, title: str, *, status: int = 200, **shown: Any) -> HTMLResponse:
    """A page of the CRM. Salespeople read English here."""
    return answer(name, en.TEXTS, title, ctx.brand, status=status, **shown)


def nobody(ctx: Context) -> HTMLResponse:
    """The page for whoever is not signed in."""
    return show(ctx, "crm_signed_out.html", "You are not signed in", status=401)
