"""The webhook for SES events, which Amazon SNS delivers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from fastapi import APIRouter, Request, Response
from pydantic_core import from_json

from api.feedback.provider_feedback import Report
from api.feedback.sns_signature import CertificateUnavailableError, ForgedError
from api.http.auth import OpenRoute
from api.http.bodies.reading import load_json
from api.http.context import Context, Ctx
from api.http.overload import visit_of, vouch
from api.http.problems import ProblemError, documented, overloaded_error
from api.webhooks import ses_events
from tracks.contacts.contact_fields import storable_text

log = structlog.get_logger(__name__)
router = APIRouter(prefix="/webhooks", tags=["callbacks"], route_class=OpenRoute)
_SETTLED_WITHIN = timedelta(minutes=1)
"""After this time the answer to a send is in the ledger or lost."""
_REPEATED_WITHIN = timedelta(days=2)
"""SNS gives up retrying within hours (https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html)."""
_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "An SNS message: Notification, SubscriptionConfirmation or UnsubscribeConfirmation.",
        "content": {
            "text/plain": {"schema": {"type": "string", "contentMediaType": "application/json", "minLength": 2}}
        },
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
    """Accepts only messages signed by Amazon SNS. Subscriptions to this address are confirmed automatically."""
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
        log.warning("unsubscribed: SES events will not arrive any more", topic=message["TopicArn"])
    return Response(status_code=204)


async def _verify(request: Request, ctx: Context, message: dict[str, Any], size: int) -> None:
    """Verify a message. While its certificate is fetched, the request holds no place."""
    visit = visit_of(request)
    if visit is None or ctx.sns.knows(message):
        await ctx.sns.verify(message)
    else:
        visit.step_out()
        await ctx.sns.verify(message)
        if not await visit.enter(size):
            raise overloaded_error(visit.admission.retry_after())
    vouch(request)


async def _notified(ctx: Context, message: dict[str, Any]) -> None:
    """Handle a notification. If it is not about a message of ours, it is counted and answered with success, because SNS
    would repeat it otherwise."""
    told_at = ses_events.moment(message["Timestamp"])
    if told_at is not None and datetime.now(UTC) - told_at > _REPEATED_WITHIN:
        ctx.metrics.rejected.labels("ses", "too-old").inc()
        log.warning("a notification is older than SNS's last repeat: ignored", at=told_at.isoformat())
        return
    said = _said(ctx, message["Message"])
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
            notification=storable_text(message["MessageId"]),
            at=event.at,
            progress=event.progress,
            reason=event.reason,
            provider_id=event.provider_id or None,
            properties=event.properties,
            suppress_reason=event.suppress_reason,
            soft=event.soft,
            named=event.named,
            sent_to=event.sent_to,
            forwarded=True,
        )
    )
    if not reported.known:
        _unknown(ctx, event, ses_events.sent_at(said))
    elif reported.accepted is not None:
        ctx.metrics.event("ses", reported.accepted)
    if reported.after_delivery:
        ctx.metrics.rejected.labels("ses", "bounced-after-delivery").inc()
    if reported.others:
        ctx.metrics.rejected.labels("ses", "not-the-recipient").inc(reported.others)


def _said(ctx: Context, text: str) -> Any:
    """Parse the text of a notification; None if it is no JSON. Characters that cannot be stored are removed and
    counted: a header that was cut within an emoji must not lose a bounce, which would not be reported again."""
    try:
        said = from_json(text, allow_inf_nan=False)
        whole = "\\u0000" not in text
    except ValueError:
        try:
            said, whole = json.loads(text), False
        except (ValueError, RecursionError):
            return None
    if not whole:
        ctx.metrics.rejected.labels("ses", "unstorable").inc()
    return said


def _unknown(ctx: Context, event: ses_events.SesEvent, sent_at: datetime | None) -> None:
    """Handle an event about an unknown message. If it is recent, raise a problem so that SNS repeats it: the provider's
    id may not be in the ledger yet."""
    if event.message_id is None and sent_at is not None and datetime.now(UTC) - sent_at < _SETTLED_WITHIN:
        detail = "This may be about a message that is only just being sent."
        raise ProblemError(503, "unavailable", detail, headers={"Retry-After": "20"})
    ctx.metrics.rejected.labels("ses", "unknown-message").inc()
