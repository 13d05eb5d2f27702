"""What an SES event, as SNS carries it, says about a message of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from api.tracking.machines import by_agent
from store.messages import Progress
from store.touches import Kind

TAG = "perennial-message"
"""The message tag that carries the ledger's message id."""


@dataclass(frozen=True, slots=True)
class SesEvent:
    """One event about one message.

    `event` is None for events that mean nothing to a track (a delay), `progress` for those that say nothing
    of the delivery. `once` events happen at most once to a message; opens and clicks happen any number of times.
    """

    message_id: str
    provider_id: str
    event: str | None
    progress: Progress | None
    at: datetime
    once: bool
    reason: str = ""
    properties: dict[str, Any] = field(default_factory=dict)
    suppress: tuple[str, ...] = ()
    """Addresses that must not be written to again."""
    suppress_reason: str = ""


def read(message: Mapping[str, Any]) -> SesEvent | None:
    """The event in a notification's message, or None where it is not about a message of ours."""
    mail = _mapping(message.get("mail"))
    ids = _mapping(mail.get("tags")).get(TAG)
    if not isinstance(ids, list) or not ids or not isinstance(ids[0], str):
        return None
    provider_id = str(mail.get("messageId", ""))
    kind = str(message.get("eventType"))
    detail = _mapping(message.get(_DETAIL.get(kind, "")))
    at = _time(detail.get("timestamp")) or _time(mail.get("timestamp")) or datetime.now(UTC)

    def event(name: str | None, progress: Progress | None, *, once: bool = True, **more: Any) -> SesEvent:
        return SesEvent(ids[0], provider_id, name, progress, at, once, **more)

    match kind:
        case "Send":
            return event("email.sent", "accepted")
        case "Delivery":
            return event("email.delivered", "delivered")
        case "Bounce":
            return _bounce(event, detail)
        case "Complaint":
            feedback = _word(detail.get("complaintFeedbackType"))
            return event(
                "email.complained",
                "complained",
                reason="complaint",
                properties={"feedback": feedback} if feedback else {},
                suppress=_addresses(detail, "complainedRecipients"),
                suppress_reason="complained",
            )
        case "Reject" | "Rendering Failure":
            return event("email.failed", "failed", reason=kind.lower().replace(" ", "-"))
        case "Open":
            return event("email.opened", "delivered", once=False, properties=_by("open", detail))
        case "Click":
            return event("email.clicked", "delivered", once=False, properties=_by("click", detail) | _click(detail))
        case "DeliveryDelay":
            return event(None, "delayed")
        case _:
            return event(None, None)


_DETAIL = {
    "Delivery": "delivery",
    "Bounce": "bounce",
    "Complaint": "complaint",
    "Open": "open",
    "Click": "click",
}


def _bounce(event: Any, detail: Mapping[str, Any]) -> SesEvent:
    kind, sub = _word(detail.get("bounceType")), _word(detail.get("bounceSubType"))
    permanent = kind == "permanent"
    result: SesEvent = event(
        "email.bounced",
        "bounced",
        reason=f"bounce-{kind}" + (f"-{sub}" if sub else ""),
        properties={"bounce": kind, "detail": sub},
        suppress=_addresses(detail, "bouncedRecipients") if permanent else (),
        suppress_reason="bounced",
    )
    return result


def _by(kind: Kind, detail: Mapping[str, Any]) -> dict[str, Any]:
    agent = detail.get("userAgent")
    return {"by": by_agent(kind, agent).by} if isinstance(agent, str) else {}


def _click(detail: Mapping[str, Any]) -> dict[str, Any]:
    # The query often carries an address or a token, and conditions may take the link into a history.
    properties: dict[str, Any] = {}
    try:
        parts = urlsplit(str(detail.get("link", "")))
        properties["link"] = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))[:2000]
    except ValueError:
        properties["link"] = ""
    tags = {
        str(name): [str(value) for value in values][:5]
        for name, values in list(_mapping(detail.get("linkTags")).items())[:20]
        if isinstance(values, list)
    }
    if tags:
        properties["link_tags"] = tags
    return properties


def _addresses(detail: Mapping[str, Any], name: str) -> tuple[str, ...]:
    recipients = detail.get(name)
    if not isinstance(recipients, list):
        return ()
    found = [_mapping(recipient).get("emailAddress") for recipient in recipients]
    return tuple(address for address in found if isinstance(address, str) and address)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _word(value: Any) -> str:
    return value.lower()[:50] if isinstance(value, str) else ""


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
