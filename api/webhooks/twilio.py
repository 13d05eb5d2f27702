"""Twilio's callbacks: the status of text messages, and contacts' replies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from api.feedback import provider_feedback
from api.http.auth import OpenRoute
from api.http.bodies.reading import parse_form
from api.http.context import Context, Ctx
from api.http.overload import vouch
from api.http.problems import ProblemError, documented
from api.webhooks import twilio_events
from api.webhooks.twilio_signature import genuine
from store.people import contacts
from store.people.consents import reachability, suppressions
from store.runs.events import events
from store.sending.feedback import inbound_texts
from store.sending.messages import messages
from tracks.contacts.contact_fields import storable_text

router = APIRouter(prefix="/webhooks/twilio", tags=["callbacks"], route_class=OpenRoute)
_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {"type": "object", "additionalProperties": {"type": "string"}}
            }
        },
    }
}


async def _signed(ctx: Context, request: Request) -> Mapping[str, str]:
    form = parse_form(await request.body())
    if not genuine(ctx.settings, request, form):
        ctx.metrics.rejected.labels("twilio", "forged").inc()
        raise ProblemError(403, "forbidden", "This is not from Twilio: the signature does not match.")
    vouch(request)
    kept = {storable_text(name): storable_text(value) for name, value in form.items()}
    if kept != form:  # Twilio does not repeat refused calls, so characters that cannot be stored are removed
        ctx.metrics.rejected.labels("twilio", "unstorable").inc()
    return kept


@router.post(
    "/status/{message_id}",
    status_code=204,
    summary="Status of a text message",
    responses=documented(400, 403, 413, 415, 422),
    openapi_extra=_REQUEST,
)
async def post_status(
    message_id: Annotated[str, Path(max_length=64, description="The message in the ledger.")],
    request: Request,
    ctx: Ctx,
) -> Response:
    """Settles the message in the ledger, also if Twilio's answer to the send was lost. Tracks receive the event."""
    form = await _signed(ctx, request)
    stage = twilio_events.stage(form)
    if stage is None:
        return Response(status_code=204)
    progress, event = stage
    failed = twilio_events.failure(form) if progress == "failed" else None
    sender = {"sender": form["From"]} if form.get("From") else {}
    reported = await ctx.feedback.accept(
        provider_feedback.Report(
            provider="twilio",
            channel="sms",
            message_id=message_id,
            event=event,
            once=_once(event, failed),
            at=datetime.now(UTC),
            progress=progress,
            reason=failed.reason if failed else "",
            provider_id=twilio_events.sid(form) or None,
            properties={"error": failed.code, "class": failed.error.kind} if failed else sender,
            suppress_reason=(failed.error.suppress or "") if failed else "",
            named=(form["To"],) if form.get("To") else (),
        )
    )
    if reported.others:
        ctx.metrics.rejected.labels("twilio", "not-the-recipient").inc(reported.others)
    if not reported.known:
        ctx.metrics.rejected.labels("twilio", "unknown-message").inc()
    elif reported.accepted is not None:
        ctx.metrics.event("twilio", reported.accepted)
    return Response(status_code=204)


@router.post(
    "/inbound",
    summary="A contact's reply",
    response_class=Response,
    responses={
        200: {"content": {"text/xml": {"schema": {"type": "string"}}}},
        **documented(400, 403, 413, 415),
    },
    openapi_extra=_REQUEST,
)
async def post_inbound(request: Request, ctx: Ctx) -> Response:
    """Stores `sms.replied` for every contact with that number. STOP and similar words suppress the number, START ends
    the suppression.

    The text is personal data and is not stored. A repeated message changes nothing.
    """
    form = await _signed(ctx, request)
    phone, sid = twilio_events.sender(form), twilio_events.sid(form)
    answer = Response(twilio_events.answer(form, ctx.settings.sms_help_text), media_type="text/xml")
    if not sid or not phone:  # a short code, a name, or a form that was cut differently than Twilio had it
        ctx.metrics.rejected.labels("twilio", "unknown-sender" if sid else "no-message").inc()
        return answer
    word = twilio_events.keyword(form)
    properties = twilio_events.reply_properties(form)
    results = []
    async with ctx.db.transaction() as tx:
        stopped = word in twilio_events.STOP
        now = datetime.now(UTC)
        happened = []
        if not await inbound_texts.is_new(tx, sid, now=now):
            ctx.metrics.rejected.labels("twilio", "duplicate").inc()
            return answer
        changes = stopped or word in twilio_events.START
        concerned = await reachability.hold(tx, addresses=[("sms", phone)]) if changes else ()
        people = await contacts.by_phone(tx, phone)
        latest = await messages.answered(tx, [person.id for person in people], sender=form.get("To", ""))
        for person in people:
            told = f"twilio:{sid}:{person.id}"
            # Contacts may share a number; only one of them got the message that this reply answers.
            about = provider_feedback.about(latest) if latest and latest.contact_id == person.id else {}
            happened.append(events.Event(told, person.id, "sms.replied", about | properties, now))
            if stopped:
                left = {"channel": "sms", "reason": "stop"}
                happened.append(events.Event(f"{told}:stop", person.id, "contact.unsubscribed", left, now))
        if happened:
            results = await events.accept_many(tx, happened, pace=ctx.settings.pace_at_entry)
        known = bool(results) and all(accepted.duplicate for accepted in results)  # stored before its id was remembered
        if stopped and not known:
            await suppressions.add(tx, "sms", phone, "stop")
        elif word in twilio_events.START and not known:
            await suppressions.remove(tx, "sms", phone, only="stop")
        await reachability.tell(tx, concerned, pace=ctx.settings.pace_at_entry)
    if not results:
        ctx.metrics.rejected.labels("twilio", "unknown-sender").inc()
    for accepted in results:
        ctx.metrics.event("twilio", accepted)
    return answer


def _once(event: str | None, failed: twilio_events.Failure | None) -> str:
    """The name under which an event is stored once. A failure that suppresses has a name of its own, so that it also
    counts after a failure that did not."""
    suppresses = failed.error.suppress if failed else None
    return f"{event}:{suppresses}" if suppresses else event or ""
