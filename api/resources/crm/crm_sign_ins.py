"""Links by which salespeople sign in to the CRM's pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from api.http.auth import KeyedRoute
from api.http.context import Ctx
from api.http.crm_sessions import LONGEST_LINK, PATH, Pass
from api.http.fields import Body
from api.http.problems import documented, not_found
from store.people.crm import crm_people

router = APIRouter(prefix="/v1/crm", tags=["crm"], route_class=KeyedRoute, responses=documented(401, 422))

PersonName = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", description="The salesperson: the `owner` of their tasks.")
]


class SignInLink(Body):
    """How long the link is to work."""

    days: int = Field(7, ge=1, le=LONGEST_LINK.days)


class SignIn(BaseModel):
    """A link that signs in to the CRM's pages."""

    person: str
    url: str = Field(description="Whoever has it can sign in as that person: send it to nobody else.")
    expires_at: datetime


class SignedOut(BaseModel):
    """The person whose links and sign-ins have ended."""

    person: str


@router.post(
    "/people/{person}/sign-in-link",
    summary="Make a sign-in link for a salesperson",
    responses=documented(400, 413, 415),
)
async def post_sign_in_link(person: PersonName, body: SignInLink, ctx: Ctx) -> SignIn:
    """The link opens the CRM's pages, and nothing else, in that person's name. It works until it expires."""
    now = datetime.now(UTC).replace(microsecond=0)
    given = Pass(person, now, now + timedelta(days=body.days))
    async with ctx.db.transaction() as tx:
        await crm_people.admit(tx, person, now)
    token = ctx.crm.seal("link", given)
    base = ctx.settings.link_base.rstrip("/")
    return SignIn(person=person, url=f"{base}{PATH}/sign-in/{token}", expires_at=given.until)


@router.delete("/people/{person}", summary="End a salesperson's sign-ins and links", responses=documented(404))
async def delete_crm_person(person: PersonName, ctx: Ctx) -> SignedOut:
    """Holds at once. Tasks, notes and what the person did stay."""
    async with ctx.db.transaction() as tx:
        if not await crm_people.shut_out(tx, person):
            raise not_found(f"salesperson {person}")
    return SignedOut(person=person)
