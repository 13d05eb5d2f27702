"""SES events, as Amazon SNS delivers them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from fastapi import APIRouter, Request, Response
from pydantic_core import from_json

from api.auth import OpenRoute
from api.bodies import load_json
from api.context import Context, Ctx
from api.gate import visit_of, vouch
from api.problems import ProblemError, documented, overloaded_error
from api.webhooks import ses_events
from api.webhooks.feedback import Report
from api.webhooks.sns_signature import CertificateUnavailableError, ForgedError

log = structlog.get_logger(__name__)
router = APIRouter(prefix="/webhooks", tags=["callbacks"], route_class=OpenRoute)
_SETTLED_WITHIN = timedelta(minutes=1)
"""After that the answer to a send is in the ledger, or lost."""
_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "An SNS message: Notification, SubscriptionConfirmation or UnsubscribeConfirmation.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


@router.post(
    "/ses",
    status_code=204,
    summary="SES events by SNS",
    responses=documented(400, 403, 413, 415, 503),
    openapi_extra=_REQUEST,
)
async def post_ses(request: Request, ctx: Ctx) -> Response:
    """Only what Amazon SNS signed is believed. Subscriptions to this address confirm themselves."""
    body = await request.body()
    message = load_json(body)
    if not isinstance(message, dict):
        raise ProblemError(400, "malformed-body", "An SNS message is an object.")
    try:
        await _verify(request, ctx, message, len(body))
        if message["Type"] == "SubscriptionConfirmation":
            await ctx.sns.confirm(message)
            log.info("subscription confirmed", topic=message["TopicArn"])
    except ForgedError as error:
        ctx.metrics.rejected.labels("ses", "forged").inc()
        raise ProblemError(403, "forbidden", f"This is not from Amazon SNS: {error}.") from None
    except CertificateUnavailableError as error:
        detail = f"It cannot be told now whether this is from Amazon SNS: {error}."
        raise ProblemError(503, "unavailable", detail, headers={"Retry-After": "5"}) from None
    if message["Type"] == "Notification":
        await _notified(ctx, message)
    elif message["Type"] == "UnsubscribeConfirmation":
        log.warning("unsubscribed: SES events come here no more", topic=message["TopicArn"])
    return Response(status_code=204)


async def _verify(request: Request, ctx: Context, message: dict[str, Any], size: int) -> None:
    """Judge a message; while its certificate is fetched it takes no place from anybody."""
    visit = visit_of(request)
    if visit is None or ctx.sns.knows(message):
        await ctx.sns.verify(message)
    else:
        visit.step_out()
        await ctx.sns.verify(message)
        if not await visit.enter(size):
            raise overloaded_error(visit.gate.retry_after())
    vouch(request)


async def _notified(ctx: Context, message: dict[str, Any]) -> None:
    """A notification that says nothing about a message of ours is counted and answered well: SNS would repeat it."""
    try:
        said = from_json(message["Message"], allow_inf_nan=False)
    except ValueError:
        said = None
    event = ses_events.read(said) if isinstance(said, dict) else None
    if event is None:
        ctx.metrics.rejected.labels("ses", "not-ours").inc()
        return
    reported = await ctx.feedback.accept(
        Report(
            provider="ses",
            channel="email",
            message_id=event.message_id,
            event=event.event,
            once=event.once,
            notification=message["MessageId"],
            at=event.at,
            progress=event.progress,
            reason=event.reason,
            provider_id=event.provider_id or None,
            properties=event.properties,
            suppress=event.suppress,
            suppress_reason=event.suppress_reason,
            soft=event.soft,
        )
    )
    if not reported.known:
        _unknown(ctx, event, ses_events.sent_at(said))
    elif reported.accepted is not None:
        ctx.metrics.event("ses", reported.accepted)


def _unknown(ctx: Context, event: ses_events.SesEvent, sent_at: datetime | None) -> None:
    """Not a message of ours; but one that has just been sent may be, and its id not be in the ledger yet."""
    if event.message_id is None and sent_at is not None and datetime.now(UTC) - sent_at < _SETTLED_WITHIN:
        detail = "This may be about a message that is only just being sent."
        raise ProblemError(503, "unavailable", detail, headers={"Retry-After": "20"})
    ctx.metrics.rejected.labels("ses", "unknown-message").inc()
