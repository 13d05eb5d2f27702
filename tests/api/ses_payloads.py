"""SES events in every form of its documentation, written from the field lists that are named beside each."""

from __future__ import annotations

from typing import Any

EVENTS = "https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html"
NOTIFICATIONS = "https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html"
EMAIL = "ada@example.com"
SES_ID = "0100019aa5b1c2d3-ses-000000"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
LATER = "2026-11-21T12:00:01.000Z"

BOUNCES = [  # EVENTS#event-publishing-retrieving-sns-contents-bounce-types and NOTIFICATIONS#bounce-types
    ("Undetermined", "Undetermined"),
    ("Permanent", "General"),
    ("Permanent", "NoEmail"),
    ("Permanent", "Suppressed"),
    ("Permanent", "OnAccountSuppressionList"),
    ("Transient", "General"),
    ("Transient", "MailboxFull"),
    ("Transient", "MessageTooLarge"),
    ("Transient", "CustomTimeoutExceeded"),
    ("Transient", "ContentRejected"),
    ("Transient", "AttachmentRejected"),
]
COMPLAINTS = [  # NOTIFICATIONS#complaint-types; a report of the ISP may be missing: then there is no type
    ("abuse", None),
    ("auth-failure", None),
    ("fraud", None),
    ("not-spam", None),
    ("other", None),
    ("virus", None),
    (None, None),
    (None, "OnAccountSuppressionList"),
]
DELAYS = [  # EVENTS#event-publishing-retrieving-sns-contents-delivery-delay-object
    "InternalFailure",
    "General",
    "MailboxFull",
    "SpamDetected",
    "RecipientServerError",
    "IPFailure",
    "TransientCommunicationFailure",
    "BYOIPHostNameLookupUnavailable",
    "Undetermined",
    "SendingDeferral",
]


def mail(message_id: str | None, to: str = EMAIL) -> dict[str, Any]:
    """EVENTS#event-publishing-retrieving-sns-contents-mail-object; without an id, as NOTIFICATIONS#mail-object."""
    common = {
        "timestamp": "2026-11-21T12:00:00.000Z",
        "messageId": SES_ID,
        "source": "Ada <ada@acme.test>",
        "sourceArn": "arn:aws:ses:eu-west-1:123456789012:identity/acme.test",
        "sendingAccountId": "123456789012",
        "destination": [to],
    }
    if message_id is None:
        return common | {"timestamp": "2026-11-21T12:00:00 +0000", "sourceIp": "192.0.2.1", "callerIdentity": "worker"}
    return common | {
        "headersTruncated": False,
        "headers": [{"name": "To", "value": to}],
        "commonHeaders": {"from": ["Ada <ada@acme.test>"], "to": [to], "subject": "Hello"},
        "tags": {"ses:configuration-set": ["perennial"], "perennial-message": [message_id]},
    }


def said(kind: str, message_id: str | None, key: str, detail: dict[str, Any], to: str = EMAIL) -> dict[str, Any]:
    """The whole record: event publishing with the message's tag, or a notification without one."""
    name = "notificationType" if message_id is None else "eventType"
    return {name: kind, "mail": mail(message_id, to), key: detail}


def send(message_id: str | None) -> dict[str, Any]:
    """EVENTS#event-publishing-retrieving-sns-contents-send-object: always empty."""
    return said("Send", message_id, "send", {})


def delivery(message_id: str | None) -> dict[str, Any]:
    """NOTIFICATIONS#delivery-object."""
    detail = {
        "timestamp": LATER,
        "processingTimeMillis": 546,
        "recipients": [EMAIL],
        "smtpResponse": "250 ok",
        "reportingMTA": "a8-70.smtp-out.amazonses.com",
        "remoteMtaIp": "192.0.2.2",
    }
    return said("Delivery", message_id, "delivery", detail)


def bounce(
    message_id: str | None, kind: str = "Permanent", sub_type: str = "General", *, who: Any = None, to: str = EMAIL
) -> dict[str, Any]:
    """NOTIFICATIONS#bounce-object; `who` are the bounced recipients, with a report (DSN) attached or without."""
    detail = {
        "bounceType": kind,
        "bounceSubType": sub_type,
        "bouncedRecipients": [{"emailAddress": to}] if who is None else who,
        "timestamp": LATER,
        "feedbackId": "0100019aa5b1c2d4-feedback-000000",
        "remoteMtaIp": "192.0.2.2",
        "reportingMTA": "dsn; a8-70.smtp-out.amazonses.com",
    }
    return said("Bounce", message_id, "bounce", detail, to)


def complaint(message_id: str | None, feedback: str | None = "abuse", sub_type: str | None = None) -> dict[str, Any]:
    """NOTIFICATIONS#complaint-object; the last three fields only where the ISP attached a report."""
    detail: dict[str, Any] = {
        "complainedRecipients": [{"emailAddress": EMAIL}],
        "timestamp": LATER,
        "feedbackId": "0100019aa5b1c2d5-feedback-000000",
        "complaintSubType": sub_type,
    }
    if feedback:
        detail |= {"userAgent": "An ISP/1.0", "complaintFeedbackType": feedback, "arrivalDate": LATER}
    return said("Complaint", message_id, "complaint", detail)


def reject(message_id: str) -> dict[str, Any]:
    """EVENTS#event-publishing-retrieving-sns-contents-reject-object."""
    return said("Reject", message_id, "reject", {"reason": "Bad content"})


def rendering_failure(message_id: str) -> dict[str, Any]:
    """EVENTS#event-publishing-retrieving-sns-contents-failure-object."""
    return said("Rendering Failure", message_id, "failure", {"templateName": "t", "errorMessage": f"no name: {EMAIL}"})


def delay(message_id: str, kind: str = "MailboxFull") -> dict[str, Any]:
    """EVENTS#event-publishing-retrieving-sns-contents-delivery-delay-object."""
    detail = {
        "delayType": kind,
        "delayedRecipients": [{"emailAddress": EMAIL, "status": "4.2.2", "diagnosticCode": "smtp; 452 4.2.2 full"}],
        "expirationTime": "2026-11-22T02:00:00.000Z",
        "timestamp": LATER,
    }
    return said("DeliveryDelay", message_id, "deliveryDelay", detail)


def opened(message_id: str) -> dict[str, Any]:
    """EVENTS#event-publishing-retrieving-sns-contents-open-object."""
    return said("Open", message_id, "open", {"ipAddress": "192.0.2.3", "timestamp": LATER, "userAgent": BROWSER})


def click(message_id: str, link: str = "https://acme.test/", tags: Any = None) -> dict[str, Any]:
    """EVENTS#event-publishing-retrieving-sns-contents-click-object."""
    detail = {"ipAddress": "192.0.2.3", "timestamp": LATER, "userAgent": BROWSER, "link": link, "linkTags": tags}
    return said("Click", message_id, "click", detail)


def subscription(message_id: str, *, everything: bool) -> dict[str, Any]:
    """EVENTS#event-publishing-retrieving-sns-contents-subscription-object."""
    before = {"unsubscribeAll": False, "topicSubscriptionStatus": [{"topicName": "n", "subscriptionStatus": "OptIn"}]}
    after = {
        "unsubscribeAll": everything,
        "topicSubscriptionStatus": [{"topicName": "n", "subscriptionStatus": "OptOut"}],
    }
    detail = {
        "contactList": "people",
        "timestamp": LATER,
        "source": "UnsubscribeHeader",
        "newTopicPreferences": after,
        "oldTopicPreferences": before,
    }
    return said("Subscription", message_id, "subscription", detail)


def everything(message_id: str) -> list[dict[str, Any]]:
    """One of each."""
    return [
        send(message_id),
        delivery(message_id),
        *(bounce(message_id, kind, sub_type) for kind, sub_type in BOUNCES),
        *(complaint(message_id, feedback, sub_type) for feedback, sub_type in COMPLAINTS),
        reject(message_id),
        rendering_failure(message_id),
        *(delay(message_id, kind) for kind in DELAYS),
        opened(message_id),
        click(message_id),
        subscription(message_id, everything=True),
        subscription(message_id, everything=False),
        delivery(None),
        *(bounce(None, kind, sub_type) for kind, sub_type in BOUNCES),
        *(complaint(None, feedback, sub_type) for feedback, sub_type in COMPLAINTS),
    ]
