"""Parse Twilio's callbacks: the status of a message, and a contact's reply."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from store.sending.feedback.sms_errors import SmsError, is_code, sms_error
from store.sending.messages.messages import Progress

_STAGES: Mapping[str, tuple[Progress, str | None]] = {
    # https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks
    "accepted": ("accepted", None),
    "scheduled": ("accepted", None),
    "queued": ("accepted", None),
    "sending": ("accepted", None),
    "sent": ("accepted", "sms.sent"),
    "delivered": ("delivered", "sms.delivered"),
    "partially_delivered": ("delivered", "sms.delivered"),
    "read": ("delivered", "sms.delivered"),
    "undelivered": ("failed", "sms.failed"),
    "failed": ("failed", "sms.failed"),
    "canceled": ("failed", "sms.failed"),
}
STOP = frozenset(
    {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "OPTOUT", "REVOKE", "ARRET", "ARRETE", "ARRETT"}
)
"""Twilio's own opt-out words (https://help.twilio.com/articles/223134027), including those of French Canada."""
START = frozenset({"START", "UNSTOP"})
"""Twilio's own opt-in words, without YES: it answers many questions, so it is left to tracks."""
HELP = frozenset({"HELP", "INFO"})
_ALONE = frozenset({"CANCEL", "END", "QUIT", "START"}) | HELP
"""Words that many replies begin with. They are keywords only if nothing follows."""
_SID = re.compile(r"(SM|MM)[0-9a-f]{32}")
_SENDER = re.compile(r"([a-z]{1,20}:)?(?P<number>\+[1-9][0-9]{6,14})")
_KEYWORDS = STOP | START | HELP | frozenset({"YES", "Y", "NO", "N", "OK"})


def sid(form: Mapping[str, str]) -> str:
    """Twilio's id of the message; empty if the form has none in Twilio's format.

    Twilio signs names and values without separators, so a form that is split differently has the same signature. If
    this id and the sender's number have their exact format, only one message is possible.
    """
    given = form.get("MessageSid", "")
    return given if _SID.fullmatch(given) else ""


def sender(form: Mapping[str, str]) -> str:
    """The sender's number as E.164, without its channel (`whatsapp:+41…`); empty if it is no number."""
    found = _SENDER.fullmatch(form.get("From", "").strip())
    return found["number"] if found else ""


def stage(form: Mapping[str, str]) -> tuple[Progress, str | None] | None:
    """The progress of a message and the event for it, if any; None for an unknown status."""
    return _STAGES.get(form.get("MessageStatus", form.get("SmsStatus", "")).lower())


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a delivery failed: the class and code of the error, never Twilio's text."""

    error: SmsError
    code: str

    @property
    def reason(self) -> str:
        """The reason as the ledger stores it."""
        return f"{self.error.kind}: {self.code}"


def failure(form: Mapping[str, str]) -> Failure:
    """Why a delivery failed."""
    code = form.get("ErrorCode", "")
    return Failure(sms_error(code), f"twilio-{code}" if is_code(code) else "undelivered")


def keyword(form: Mapping[str, str]) -> str:
    """The reply's keyword in upper case; empty if the reply is no keyword.

    Twilio's Advanced Opt-Out itself reports which texts mean stop or start, in any language.
    """
    opted = form.get("OptOutType", "").upper()
    if opted in ("STOP", "START", "HELP"):
        return opted
    body = "".join(
        c
        for c in unicodedata.normalize("NFKD", form.get("Body", ""))
        if not unicodedata.combining(c) and (c.isspace() or unicodedata.category(c) not in ("Cc", "Cf"))
    )
    words = re.findall(r"\w+", re.sub(r"\bopt[\s-]+out\b", "optout", body, flags=re.IGNORECASE))
    word = words[0].upper() if words else ""
    if word in _ALONE and len(words) > 1:
        return ""  # "end of the week works" is a reply, not an opt-out
    return word if word in _KEYWORDS else ""


def reply_properties(form: Mapping[str, str]) -> dict[str, Any]:
    """The properties of a reply that may be stored: its text is personal data, its keyword and length are not."""
    return {"keyword": keyword(form), "length": len(form.get("Body", ""))}


def answer(form: Mapping[str, str], help_text: str) -> str:
    """The TwiML answer. It is empty because Twilio answers STOP, START and HELP itself; HELP and INFO get `help_text`
    if it is given, unless `OptOutType` says that Twilio's Advanced Opt-Out has answered.
    """
    if help_text and "OptOutType" not in form and keyword(form) in HELP:
        return f"{_TWIML}<Response><Message>{escape(help_text)}</Message></Response>"
    return f"{_TWIML}<Response/>"


_TWIML = '<?xml version="1.0" encoding="UTF-8"?>'
