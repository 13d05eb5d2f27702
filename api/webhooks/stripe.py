"""The webhook for Stripe's events."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from api.http.auth import OpenRoute
from api.http.bodies.reading import load_json
from api.http.context import Context, Ctx
from api.http.overload import vouch
from api.http.problems import ProblemError, documented
from api.webhooks import stripe_events
from store.people.stripe import applying

router = APIRouter(prefix="/webhooks", tags=["callbacks"], route_class=OpenRoute)
_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "An event of Stripe (a snapshot event).",
        "content": {"application/json": {"schema": {"type": "object"}}},
    },
}


@router.post(
    "/stripe",
    status_code=204,
    summary="Events of Stripe",
    responses=documented(400, 403, 413, 415),
    openapi_extra=_REQUEST,
)
async def post_stripe(request: Request, ctx: Ctx) -> Response:
    """Accepts events that Stripe signed at most five minutes ago, in any order. A repeated one changes nothing.

    Subscriptions set attributes of the contact; they, invoices and refunds become events of the contact. An event of
    somebody who is no contact yet is kept for 30 days.
    """
    body = await request.body()
    if ctx.stripe.missing:
        ctx.metrics.rejected.labels("stripe", "not-set-up").inc()
        detail = f"Nobody can tell here whether this is from Stripe: {ctx.stripe.missing}."
        raise ProblemError(403, "forbidden", detail)
    if not await ctx.stripe.genuine(body, request.headers.get("stripe-signature", "")):
        ctx.metrics.rejected.labels("stripe", "forged").inc()
        detail = "This is not from Stripe, or too old: no signature of the last five minutes matches."
        raise ProblemError(403, "forbidden", detail)
    vouch(request)
    await _take(ctx, load_json(body))
    return Response(status_code=204)


async def _take(ctx: Context, said: Any) -> None:
    """Apply an event. What cannot be used is counted and answered with success, because Stripe would repeat it."""
    event = stripe_events.read(said)
    if event is None:
        reason = "no-customer" if stripe_events.is_used(said) else "not-used"
        ctx.metrics.rejected.labels("stripe", reason).inc()
        return
    async with ctx.db.transaction() as tx:
        applied = await applying.apply(tx, event, pace=ctx.settings.pace_at_entry)
    if applied.outcome not in ("told", "noted"):
        ctx.metrics.rejected.labels("stripe", applied.outcome).inc()
    for accepted in applied.accepted:
        ctx.metrics.event("stripe", accepted)
