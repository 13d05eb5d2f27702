"""Twilio's formats: errors, dates, message resources, signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import time
import uuid
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

from starlette.responses import JSONResponse

from infra.sandbox.core.mailbox import Message

API = "/2010-04-01"
FINAL = ("delivered", "undelivered", "failed", "received")
_GSM = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ ÆæßÉ!\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà^{}\\[~]|€"
)


class TwilioError(Exception):
    """An error in Twilio's format."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def response(self) -> JSONResponse:
        """The error as a response."""
        more = f"https://www.twilio.com/docs/errors/{self.code}"
        data = {"code": self.code, "message": self.message, "more_info": more, "status": self.status}
        return JSONResponse(data, self.status)


def rfc2822(moment: float) -> str:
    """An epoch time in Twilio's format: `Fri, 24 May 2019 17:44:46 +0000`."""
    return formatdate(moment)


def segments(body: str) -> int:
    """How many SMS a text takes: 160 characters of GSM-7 or 70 of UCS-2 in one, fewer in each if it is split."""
    if set(body) <= _GSM:
        length = len(body) + sum(body.count(c) for c in "^{}\\[~]|€")
        return 1 if length <= 160 else math.ceil(length / 153)
    length = len(body.encode("utf-16-le")) // 2
    return 1 if length <= 70 else math.ceil(length / 67)


def sign(token: str, url: str, params: Mapping[str, str]) -> str:
    """`X-Twilio-Signature` of a form post to `url`."""
    text = url + "".join(name + params[name] for name in sorted(params))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def status(message: Message) -> str:
    """The current status of a message."""
    past = message.past()
    return past[-1].type if past else "queued"


def sent_at(message: Message) -> float | None:
    """When the message was sent, or None if it was not sent yet."""
    times = [h.at for h in message.happenings if h.type in ("sent", "received", "undelivered")]
    return min(times) if times and min(times) <= time.time() else None


def resource(message: Message) -> dict[str, Any]:
    """The Message resource."""
    past = message.past()
    account = message.detail["account"]
    uri = f"{API}/Accounts/{account}/Messages/{message.id}"
    last = past[-1] if past else None
    error = last.detail if last else {}
    sent = sent_at(message)
    return {
        "account_sid": account,
        "api_version": "2010-04-01",
        "body": message.subject,
        "date_created": rfc2822(message.at),
        "date_sent": None if sent is None else rfc2822(sent),
        "date_updated": rfc2822(last.at if last else message.at),
        "direction": "inbound" if message.direction == "in" else "outbound-api",
        "error_code": error.get("error_code"),
        "error_message": error.get("error_message"),
        "from": message.sender,
        "messaging_service_sid": message.detail.get("messaging_service"),
        "num_media": "0",
        "num_segments": str(segments(message.subject)),
        "price": None,
        "price_unit": "USD",
        "sid": message.id,
        "status": last.type if last else "queued",
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": message.recipients[0],
        "uri": f"{uri}.json",
    }


def new_sid() -> str:
    """A new message SID."""
    return f"SM{uuid.uuid4().hex}"
