"""Parse what an SES event, delivered by SNS, says about a message of ours.

Two formats: event publishing (`eventType`,
https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html) and the older notifications of
an identity (`notificationType`, https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html), which may come
without the message's tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any

from api.tracking.bot_requests import by_agent
from store.schema.addresses import normalise
from store.sending.feedback import bounces
from store.sending.feedback.engagement import Kind
from store.sending.messages.messages import Progress
from tracks.contacts.contact_fields import storable_text
from tracks.shared.link_tokens import without_query

TAG = "perennial-message"
"""The message tag that carries the ledger's message id."""
NO_COMPLAINTS = frozenset({"not-spam"})
"""Feedback types of a `Complaint` that are no complaints: the recipient says that the message is wanted."""


@dataclass(frozen=True, slots=True)
class SesEvent:
    """One event about one message.

    `message_id` is None if the tags are missing: then SES's own `provider_id` has to find the message.
    `event` is None for SES events that tracks do not need (a delay), `progress` is None for those that say nothing
    about the delivery. An event with `once` happens at most once to a message; opens and clicks happen any number of
    times.
    """

    message_id: str | None
    provider_id: str
    event: str | None
    progress: Progress | None
    at: datetime
    once: str = ""
    reason: str = ""
    properties: dict[str, Any] = field(default_factory=dict)
    suppress_reason: str = ""
    """Why the address must be suppressed; empty if it need not be."""
    soft: bool = False
    """Whether it is a bounce that counts toward the limit of bounces in a row."""
    named: tuple[str, ...] = ()
    """The addresses that SES names in the event."""
    sent_to: tuple[str, ...] = ()


def read(message: Mapping[str, Any]) -> SesEvent | None:
    """The event in a notification's message, or None if it is not about a message."""
    mail = _mapping(message.get("mail"))
    ids = _mapping(mail.get("tags")).get(TAG)
    message_id = ids[0] if isinstance(ids, list) and ids and isinstance(ids[0], str) else None
    provider_id = _text(mail.get("messageId"))
    if message_id is None and not provider_id:
        return None
    kind = str(message.get("eventType") or message.get("notificationType"))
    detail = _mapping(message.get(_DETAIL.get(kind, "")))
    at = moment(detail.get("timestamp")) or sent_at(message) or datetime.now(UTC)
    sent_to = _destination(mail)

    def event(name: str | None, progress: Progress | None, **more: Any) -> SesEvent:
        return SesEvent(message_id, provider_id, name, progress, at, sent_to=sent_to, **({"once": name or ""} | more))

    match kind:
        case "Send":
            return event("email.sent", "accepted")
        case "Delivery":
            return event("email.delivered", "delivered")
        case "DeliveryDelay":
            return event(None, "delayed", reason=f"delay-{_word(detail.get('delayType')) or 'undetermined'}")
        case "Bounce":
            return event("email.bounced", "bounced", **_bounce(detail, sent_to))
        case "Complaint":
            feedback, sub = _word(detail.get("complaintFeedbackType")), _word(detail.get("complaintSubType"))
            if feedback in NO_COMPLAINTS:
                return event(None, "delivered")
            return event("email.complained", "complained", **_complaint(detail, feedback, sub))
        case "Reject":
            return event("email.failed", "failed", reason="reject", properties={"error": "reject"})
        case "Rendering Failure" | "RenderingFailure":
            failure = "rendering-failure"
            return event("email.failed", "failed", reason=failure, properties={"error": failure})
        case "Open":
            return event("email.opened", "delivered", once="", properties=_by("open", detail))
        case "Click":
            return event("email.clicked", "delivered", once="", properties=_by("click", detail) | _click(detail))
        case "Subscription" if _mapping(detail.get("newTopicPreferences")).get("unsubscribeAll") is True:
            return event(
                "contact.unsubscribed",
                None,
                once="",
                properties={"channel": "email", "reason": "unsubscribed"},
                suppress_reason="unsubscribed",
            )
        case _:
            return event(None, None)


def sent_at(message: Mapping[str, Any]) -> datetime | None:
    """When SES accepted the message."""
    return moment(_mapping(message.get("mail")).get("timestamp"))


_DETAIL = {
    "Delivery": "delivery",
    "DeliveryDelay": "deliveryDelay",
    "Bounce": "bounce",
    "Complaint": "complaint",
    "Open": "open",
    "Click": "click",
    "Subscription": "subscription",
}


def _bounce(detail: Mapping[str, Any], sent_to: tuple[str, ...]) -> dict[str, Any]:
    said_kind, said_sub = _word(detail.get("bounceType")), _word(detail.get("bounceSubType"))
    written_to = {normalise("email", address) for address in sent_to}
    recipients = _recipients(detail, "bouncedRecipients")
    ours = [r for r in recipients if any(normalise("email", a) in written_to for a in _addresses([r]))]
    # A report on several recipients also names those that are still being tried. If a mailbox forwards to a dead
    # address, the bounce names that address; later messages would bounce the same way.
    failed = [r for r in recipients if _word(r.get("action")) != "delayed"]
    kind, sub = said_kind, said_sub
    for recipient in [r for r in failed if r in ours] or failed:
        kind, sub = bounces.judged(kind, sub, _text(recipient.get("status")), _text(recipient.get("diagnosticCode")))
    tried = bool(ours) and not any(r in failed for r in ours)
    effect = "nothing" if tried else bounces.effect(kind, sub)
    return {
        "reason": bounces.reason(kind, sub),
        "properties": {"bounce": kind, "detail": sub},
        "once": f"email.bounced:{kind}",
        "suppress_reason": "bounced" if effect == "suppress" else "",
        "soft": effect == "count",
        "named": _addresses(failed),
    }


def _complaint(detail: Mapping[str, Any], feedback: str, sub: str) -> dict[str, Any]:
    said = sub or feedback
    return {
        "reason": f"complaint-{said}" if said else "complaint",
        "properties": ({"feedback": feedback} if feedback else {}) | ({"detail": sub} if sub else {}),
        "suppress_reason": "complained",
        "named": _addresses(_recipients(detail, "complainedRecipients")),
    }


def _by(kind: Kind, detail: Mapping[str, Any]) -> dict[str, Any]:
    agent = detail.get("userAgent")
    return {"by": by_agent(kind, agent).by} if isinstance(agent, str) else {}


def _click(detail: Mapping[str, Any]) -> dict[str, Any]:
    # The query often holds an address or a token, and a condition may copy the link into a history.
    properties: dict[str, Any] = {"link": without_query(_text(detail.get("link")))}
    tags = {
        _text(name): [_text(value) for value in values][:5]
        for name, values in list(_mapping(detail.get("linkTags")).items())[:20]
        if isinstance(values, list)
    }
    if tags:
        properties["link_tags"] = tags
    return properties


def _recipients(detail: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    recipients = detail.get(name)
    return [_mapping(recipient) for recipient in recipients] if isinstance(recipients, list) else []


def _addresses(recipients: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return _bare(recipient.get("emailAddress") for recipient in recipients)


def _destination(mail: Mapping[str, Any]) -> tuple[str, ...]:
    destination = mail.get("destination")
    return _bare(destination) if isinstance(destination, list) else ()


def _bare(addresses: Iterable[Any]) -> tuple[str, ...]:
    """The addresses without names or angle brackets, each once."""
    texts = [text for address in addresses if (text := _text(address))]
    return tuple(dict.fromkeys(parseaddr(text)[1] or text for text in texts))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return storable_text(value) if isinstance(value, str) else ""


def _word(value: Any) -> str:
    """One of the provider's own words, in lower case. Free text must not be stored."""
    return re.sub(r"[^a-z0-9-]", "", value.lower())[:50] if isinstance(value, str) else ""


def moment(value: Any) -> datetime | None:
    """Parse a time in Amazon's format; None if it is not one."""
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value.replace(" ", ""))  # the documentation has `2018-10-08T14:05:45 +0000`
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
