"""Twilio's callbacks to the application: the status of messages, and replies."""

from __future__ import annotations

import time
import uuid
from typing import Any
from urllib.parse import urlencode, urlsplit

from infra.sandbox.core.callbacks import Callbacks, Outgoing
from infra.sandbox.core.journal import Entry, Journal, Place
from infra.sandbox.core.mailbox import Happening, Mailbox, Message
from infra.sandbox.core.options import Options
from infra.sandbox.twilio.form import new_sid, sign

_STOP = {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"}
_START = {"START", "YES", "UNSTOP"}


class TwilioCallbacks:
    """Signed form POSTs to the application, and the opt-outs of people."""

    def __init__(self, options: Options, book: Journal, mailbox: Mailbox, callbacks: Callbacks) -> None:
        self._options = options
        self._book = book
        self._mailbox = mailbox
        self._callbacks = callbacks
        self._opted_out: set[tuple[str, str]] = set()
        callbacks.builder("twilio-status", self._build_status)
        callbacks.builder("twilio-inbound", self._build_inbound)
        book.subscribe("twilio-opt-out", self._apply_opt_out)
        book.subscribe("reset", lambda entry, place: self._opted_out.clear())

    def has_opted_out(self, person: str, sender: str) -> bool:
        """Whether this person answered STOP to this sender, and has not answered START since."""
        return (person, sender) in self._opted_out

    def announce(self, message: Message) -> None:
        """Schedule a call of the message's StatusCallback for each of its future happenings."""
        if message.detail["status_callback"]:
            for happening in message.happenings:
                args = {"message": message.id, "status": happening.type, **happening.detail}
                self._callbacks.add("twilio-status", message.id, happening.at, args)

    def reply(self, message: Message, text: str) -> Message:
        """Record a person's reply to a message, and send it to the application."""
        now = time.time()
        keyword = text.strip().upper()
        number = message.recipients[0] if message.direction == "in" else message.sender
        if keyword in _STOP or keyword in _START:
            self._book.write("twilio-opt-out", person=message.person, sender=number, out=keyword in _STOP)
        answer = Message(
            seq=0,
            id=new_sid(),
            channel="sms",
            direction="in",
            sender=message.person,
            recipients=[number],
            subject=text,
            at=now,
            detail={"account": message.detail["account"], "opt_out_type": _opt_out_type(keyword)},
            happenings=[Happening("received", now)],
        )
        self._mailbox.accept(answer)
        if self._options.callback_base:
            self._callbacks.add("twilio-inbound", answer.id, now, {"message": answer.id})
        return answer

    def _build_status(self, args: dict[str, Any]) -> Outgoing | None:
        message = self._mailbox.get(args["message"])
        if message is None:
            return None
        params = {
            "AccountSid": message.detail["account"],
            "ApiVersion": "2010-04-01",
            "From": message.sender,
            "To": message.recipients[0],
            "MessageSid": message.id,
            "SmsSid": message.id,
            "MessageStatus": args["status"],
            "SmsStatus": args["status"],
        }
        if "error_code" in args:
            params["ErrorCode"] = str(args["error_code"])
        if message.detail.get("messaging_service"):
            params["MessagingServiceSid"] = message.detail["messaging_service"]
        return self._post(message.detail["status_callback"], params)

    def _build_inbound(self, args: dict[str, Any]) -> Outgoing | None:
        message = self._mailbox.get(args["message"])
        if message is None or not self._options.callback_base:
            return None
        params = {
            "AccountSid": message.detail["account"],
            "ApiVersion": "2010-04-01",
            "Body": message.subject,
            "From": message.sender,
            "To": message.recipients[0],
            "MessageSid": message.id,
            "SmsMessageSid": message.id,
            "SmsSid": message.id,
            "SmsStatus": "received",
            "NumMedia": "0",
            "NumSegments": "1",
        }
        if message.detail["opt_out_type"]:
            params["OptOutType"] = message.detail["opt_out_type"]
        return self._post(f"{self._options.callback_base}/webhooks/twilio/inbound", params)

    def _post(self, url: str, params: dict[str, str]) -> Outgoing | None:
        if not urlsplit(url).netloc:
            return None
        headers = {
            "content-type": "application/x-www-form-urlencoded; charset=UTF-8",
            "user-agent": "TwilioProxy/1.1",
            "i-twilio-idempotency-token": str(uuid.uuid4()),
            "x-twilio-signature": sign(self._options.twilio_auth_token, url, params),
        }
        return Outgoing(url, headers, urlencode(params).encode())

    def _apply_opt_out(self, entry: Entry, place: Place) -> None:
        pair = (entry["person"], entry["sender"])
        if entry["out"]:
            self._opted_out.add(pair)
        else:
            self._opted_out.discard(pair)


def _opt_out_type(keyword: str) -> str:
    if keyword in _STOP:
        return "STOP"
    if keyword in ("START", "UNSTOP"):
        return "START"
    return "HELP" if keyword in ("HELP", "INFO") else ""
