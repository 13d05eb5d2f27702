"""SES's event publishing: events about an email go to the topics of its configuration set."""

from __future__ import annotations

import time
import uuid
from typing import Any

from infra.sandbox.amazon.ses_account import SesAccount
from infra.sandbox.amazon.sns import ACCOUNT, REGION, Sns
from infra.sandbox.core.callbacks import Callbacks, Outgoing
from infra.sandbox.core.mailbox import Mailbox, Message, bare, iso

USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) Sandbox/1.0"
ADDRESS = "127.0.0.1"
NAMES = {
    "send": "Send",
    "delivery": "Delivery",
    "bounce": "Bounce",
    "complaint": "Complaint",
    "open": "Open",
    "click": "Click",
    "reject": "Reject",
    "rendering_failure": "Rendering Failure",
    "delivery_delay": "DeliveryDelay",
}
_KEYS = {"rendering_failure": "failure", "delivery_delay": "deliveryDelay"}
"""Event types whose own part in the event has another name than the type."""


def is_simulator(address: str) -> bool:
    """Whether the address belongs to the mailbox simulator (`bounce@simulator.amazonses.com`)."""
    return bare(address).rpartition("@")[2].startswith("simulator.")


class SesEvents:
    """Records and publishes what happens to emails."""

    def __init__(self, mailbox: Mailbox, account: SesAccount, sns: Sns, callbacks: Callbacks) -> None:
        self._mailbox = mailbox
        self._account = account
        self._sns = sns
        self._callbacks = callbacks
        callbacks.builder("ses", self._build)

    def happened(self, message: Message, type_: str, at: float, detail: dict[str, Any] | None = None) -> None:
        """Record one happening (`bounce`, `click`, …) and publish it to the topics for its type."""
        detail = detail or {}
        self._mailbox.happened(message, type_, at, detail)
        self.publish(message, type_, at, detail)
        simulated = all(is_simulator(address) for address in self._affected(message, detail))
        if type_ == "bounce" and detail["bounceType"] == "Permanent" and not simulated:
            self._suppress(message, detail, "BOUNCE")
        if type_ == "complaint" and detail.get("feedback") != "not-spam" and not simulated:
            self._suppress(message, detail, "COMPLAINT")

    def publish(self, message: Message, type_: str, at: float, detail: dict[str, Any]) -> None:
        """Only publish to the topics: the happening was recorded together with the message."""
        if not self._sns.has_subscriber():
            return
        for topic in self._account.topics(message.detail.get("configuration_set", ""), type_.upper()):
            args = {
                "message": message.id,
                "topic": topic,
                "type": type_,
                "at": at,
                "detail": detail,
                "uuid": str(uuid.uuid4()),
            }
            self._callbacks.add("ses", message.id, max(at, time.time()), args)

    def _suppress(self, message: Message, detail: dict[str, Any], reason: str) -> None:
        for address in self._affected(message, detail):
            if self._account.suppressed(address) != reason:
                self._account.suppress(address, reason)

    @staticmethod
    def _affected(message: Message, detail: dict[str, Any]) -> list[str]:
        return list(detail.get("recipients") or message.recipients)

    def _build(self, args: dict[str, Any]) -> Outgoing | None:
        message = self._mailbox.get(args["message"])
        if message is None:
            return None
        event = event_json(message, args["type"], args["at"], args["detail"])
        return self._sns.notification(args["topic"], event, "Amazon SES Email Event Notification", args["uuid"])


def event_json(message: Message, type_: str, at: float, detail: dict[str, Any]) -> dict[str, Any]:
    """The event as SES publishes it for a configuration set, or as a notification of an identity."""
    recipients = list(detail.get("recipients") or message.recipients)
    data: dict[str, Any] = {"timestamp": iso(at)}
    if type_ == "send":
        data = {}
    elif type_ == "delivery":
        data |= {
            "processingTimeMillis": max(int((at - message.at) * 1000), 1),
            "recipients": recipients,
            "smtpResponse": "250 2.6.0 Message received",
            "reportingMTA": "a8-70.smtp-out.amazonses.com",
        }
    elif type_ == "bounce":
        hard = detail["bounceType"] == "Permanent"
        status, code = ("5.1.1", "smtp; 550 5.1.1 user unknown") if hard else ("4.2.2", "smtp; 452 4.2.2 mailbox full")
        data |= {
            "feedbackId": detail["feedbackId"],
            "bounceType": detail["bounceType"],
            "bounceSubType": detail["bounceSubType"],
            "bouncedRecipients": [
                {"emailAddress": bare(r), "action": "failed", "status": status, "diagnosticCode": code}
                for r in recipients
            ],
            "reportingMTA": "dns; a8-70.smtp-out.amazonses.com",
        }
    elif type_ == "complaint":
        data |= {
            "feedbackId": detail["feedbackId"],
            "complainedRecipients": [{"emailAddress": bare(r)} for r in recipients],
            "complaintSubType": detail.get("sub_type"),
            "complaintFeedbackType": detail.get("feedback", "abuse"),
            "userAgent": "Sandbox Feedback/1.0",
            "arrivalDate": iso(at),
        }
    elif type_ == "reject":
        data = {"reason": "Bad content"}
    elif type_ == "rendering_failure":
        data = {"templateName": "sandbox", "errorMessage": "A variable of the template is missing."}
    elif type_ == "delivery_delay":
        data |= {
            "delayType": detail["delayType"],
            "expirationTime": iso(at + 14 * 3600),
            "delayedRecipients": [
                {"emailAddress": bare(r), "status": "4.2.2", "diagnosticCode": "smtp; 452 4.2.2 try again"}
                for r in recipients
            ],
        }
    else:
        data |= {"ipAddress": detail.get("ip", ADDRESS), "userAgent": detail.get("user_agent", USER_AGENT)}
        if type_ == "click":
            data |= {"link": detail["link"], "linkTags": None}
    mail = _mail(message, type_)
    if detail.get("format") == "notification":
        untagged = {name: value for name, value in mail.items() if name in _UNTAGGED}
        mail = untagged | {"sourceIp": ADDRESS, "callerIdentity": "sandbox"}
        return {"notificationType": NAMES[type_], "mail": mail, type_: data}
    return {"eventType": NAMES[type_], "mail": mail, _KEYS.get(type_, type_): data}


_UNTAGGED = ("timestamp", "source", "sourceArn", "sendingAccountId", "messageId", "destination")
"""The parts of the email in an identity's notification without headers."""


def _mail(message: Message, type_: str) -> dict[str, Any]:
    sender = bare(message.sender)
    tags: dict[str, list[str]] = {
        "ses:operation": ["SendEmail"],
        "ses:source-ip": [ADDRESS],
        "ses:from-domain": [sender.rpartition("@")[2]],
        "ses:caller-identity": ["sandbox"],
    }
    if message.detail.get("configuration_set"):
        tags["ses:configuration-set"] = [message.detail["configuration_set"]]
    if type_ in ("delivery", "open", "click"):
        tags["ses:outgoing-ip"] = [ADDRESS]
    common: dict[str, Any] = {"from": [message.sender], "messageId": message.id, "subject": message.subject}
    if message.detail.get("to"):
        common["to"] = message.detail["to"]
    if message.detail.get("reply_to"):
        common["replyTo"] = message.detail["reply_to"]
    return {
        "timestamp": iso(message.at),
        "source": message.sender,
        "sourceArn": f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/{sender.rpartition('@')[2]}",
        "sendingAccountId": ACCOUNT,
        "messageId": message.id,
        "destination": [bare(r) for r in message.recipients],
        "headersTruncated": False,
        "headers": [{"name": name, "value": value} for name, value in message.headers],
        "commonHeaders": common,
        "tags": tags | {name: [value] for name, value in message.tags.items()},
    }


def bounce_detail(bounce_type: str, sub_type: str, recipients: list[str]) -> dict[str, Any]:
    """The details of one bounce."""
    return {
        "feedbackId": f"{uuid.uuid4().hex[:16]}-{uuid.uuid4()}-000000",
        "bounceType": bounce_type,
        "bounceSubType": sub_type,
        "recipients": recipients,
    }


def complaint_detail(recipients: list[str], feedback: str = "abuse", sub_type: str | None = None) -> dict[str, Any]:
    """The details of one complaint."""
    return {
        "feedbackId": f"{uuid.uuid4().hex[:16]}-{uuid.uuid4()}-000000",
        "recipients": recipients,
        "feedback": feedback,
        "sub_type": sub_type,
    }
