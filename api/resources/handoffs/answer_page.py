"""The page behind the signed link in a salesperson's task. Opening it changes nothing: scanners follow links."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse

from api.http.auth import OpenRoute
from api.http.context import Context, Ctx
from api.http.overload import vouch
from api.http.problems import FieldProblem, documented, invalid, pointer
from api.pages.rendering import answer, unknown
from api.pages.texts.languages import texts_for
from api.pages.texts.texts import best, isolated, wanted
from api.resources.handoffs.handoffs import reason_problem
from store.people.handoffs import answering
from store.people.handoffs import handoff as handoffs
from store.people.handoffs.answering import Said
from store.people.handoffs.handoff import Handoff
from store.published import policies
from tracks.policy.sales import Sales
from tracks.policy.sales_texts.languages import SALES_FALLBACK, SALES_LANGUAGES
from tracks.shared.link_tokens import verify_handoff

router = APIRouter(tags=["callbacks"], route_class=OpenRoute)
Token = Annotated[str, Path(max_length=200, description="The signed token from the task's link.")]
_NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"description": "No such link, or its contact was erased"}}
_SAID: dict[str, Said] = {
    "accepted": "accepted",
    "rejected": "rejected",
    "recycled": "recycled",
    "converted": "converted",
}
"""The values that the page's buttons post as `say`."""


@router.get("/handoff/{token}", summary="Show a handoff", response_class=HTMLResponse, responses={**_NOT_FOUND})
async def get_answer_page(token: Token, request: Request, ctx: Ctx) -> HTMLResponse:
    """What is known of the lead, and the buttons to answer. Opening it changes nothing."""
    async with ctx.db.transaction() as tx:
        named = verify_handoff(ctx.settings.signing_secret, token)
        found = await handoffs.get(tx, named) if named else None
        sales = (await policies.current(tx)).policy.sales
    return _page(ctx, request, found, sales)


@router.head("/handoff/{token}", include_in_schema=False)
async def head_answer_page(token: Token, request: Request, ctx: Ctx) -> HTMLResponse:
    """The same answer without a body."""
    return await get_answer_page(token, request, ctx)


@router.post(
    "/handoff/{token}",
    summary="Answer a handoff by its page",
    response_class=HTMLResponse,
    responses={
        **_NOT_FOUND,
        409: {"description": "It cannot have this answer now; the page says why"},
        **documented(408, 413, 422),
    },
)
async def post_answer_page(token: Token, request: Request, ctx: Ctx) -> HTMLResponse:
    """Takes the answer of the page's buttons. Repeating it changes nothing.

    One that comes too late, or after another one, is kept as feedback.
    """
    named = verify_handoff(ctx.settings.signing_secret, token)
    if named is None:  # before the body is read
        return _page(ctx, request, None, Sales())
    vouch(request)
    form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"))[:100])
    said = _SAID.get(form.get("say", ""))
    if said is None:
        detail = f"is none of the page's buttons: {', '.join(_SAID)}"
        raise invalid([FieldProblem(detail=detail, pointer=pointer(["say"]))])
    reason = form.get("reason", "") if said == "rejected" else ""
    async with ctx.db.transaction() as tx:
        sales = (await policies.current(tx)).policy.sales
        problem = reason_problem(sales, said, reason)
        if problem:
            raise invalid([FieldProblem(detail=problem, pointer=pointer(["reason"]))])
        answered = await answering.answer(tx, said, handoff_id=named, reason=reason, by="link")
    if answered is None:
        return _page(ctx, request, None, sales)
    if answered.accepted is not None:
        ctx.metrics.event("handoffs", answered.accepted)
    return _page(ctx, request, answered.handoff, sales, answered.outcome)


def _page(ctx: Context, request: Request, found: Handoff | None, sales: Sales, outcome: str = "") -> HTMLResponse:
    """The page in the salesperson's language; else in one that their browser asks for."""
    person = sales.person(found.team, found.salesperson) if found else None
    tags = wanted(person.language if person else None, request.headers.get("accept-language", ""))
    texts, words = texts_for(tags), best(SALES_LANGUAGES, tags, SALES_FALLBACK)
    if found is None:
        return unknown(texts, ctx.brand)
    said_of_it = {"late": words.kept, "refused": words.not_now}.get(outcome, "")
    answer_reason = sales.reject_reasons.get(found.answer_reason, found.answer_reason)
    return answer(
        "handoff.html",
        texts,
        words.titles[found.status],
        ctx.brand,
        status=409 if outcome == "refused" else 200,
        words_of=words,
        handoff=found,
        whose=words.whose.format(
            contact=isolated(found.contact_id),
            salesperson=isolated(person.name if person else found.salesperson),
            team=isolated(found.team),
        ),
        until=words.until.format(time=f"{found.due_at:%Y-%m-%d %H:%M} UTC"),
        why=words.why.format(reason=isolated(answer_reason)) if answer_reason else "",
        reasons=sales.reject_reasons,
        said_of_it=said_of_it,
    )
