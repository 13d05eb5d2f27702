"""What Twilio's callbacks say: how a message fared, and what a contact answered."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from store.sending.messages import Progress
from store.sending.sms_errors import SmsError, is_code, sms_error

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
"""Twilio's own opt-out words (https://help.twilio.com/articles/223134027), those of French Canada among them."""
START = frozenset({"START", "UNSTOP"})
"""Twilio's own opt-in words; YES is left to tracks, since it answers many questions."""
HELP = frozenset({"HELP", "INFO"})
_ALONE = frozenset({"CANCEL", "END", "QUIT", "START"}) | HELP
"""Words that begin many an answer, and mean something of their own only if nothing follows."""
_SID = re.compile(r"(SM|MM)[0-9a-f]{32}")
_SENDER = re.compile(r"([a-z]{1,20}:)?(?P<number>\+[1-9][0-9]{6,14})")
_KEYWORDS = STOP | START | HELP | frozenset({"YES", "Y", "NO", "N", "OK"})


def sid(form: Mapping[str, str]) -> str:
    """Twilio's id of the message; empty where the form has none as Twilio writes it.

    A signature covers names and values without a mark between them, so that a form cut otherwise has the same. With
    this id and the sender's number in their exact shape there is one message that it can be about.
    """
    given = form.get("MessageSid", "")
    return given if _SID.fullmatch(given) else ""


def sender(form: Mapping[str, str]) -> str:
    """The number that wrote, as E.164 and without its channel (`whatsapp:+41…`); empty where it is none."""
    found = _SENDER.fullmatch(form.get("From", "").strip())
    return found["number"] if found else ""


def stage(form: Mapping[str, str]) -> tuple[Progress, str | None] | None:
    """How far a message is and which event that is, if any; None for a stage that is not known here."""
    return _STAGES.get(form.get("MessageStatus", form.get("SmsStatus", "")).lower())


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a delivery failed: the error's class and code, never Twilio's text."""

    error: SmsError
    code: str

    @property
    def reason(self) -> str:
        """How the ledger says it."""
        return f"{self.error.kind}: {self.code}"


def failure(form: Mapping[str, str]) -> Failure:
    """Why a delivery failed."""
    code = form.get("ErrorCode", "")
    return Failure(sms_error(code), f"twilio-{code}" if is_code(code) else "undelivered")


def keyword(form: Mapping[str, str]) -> str:
    """The reply's word where it is one that has a meaning of its own, in upper case; else empty.

    Twilio's advanced opt-out tells by itself which texts mean to stop or to start, in any language.
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
        return ""  # "end of the week works" is an answer, not a wish to leave
    return word if word in _KEYWORDS else ""


def reply_properties(form: Mapping[str, str]) -> dict[str, Any]:
    """What may be kept of a reply: its text is personal, its keyword and length are not."""
    return {"keyword": keyword(form), "length": len(form.get("Body", ""))}


def answer(form: Mapping[str, str], help_text: str) -> str:
    """TwiML: nothing, since Twilio answers STOP, START and HELP by itself; `help_text`, if given, to HELP and INFO.

    Where `OptOutType` says that Twilio's Advanced Opt-Out has answered, nothing is said twice.
    """
    if help_text and "OptOutType" not in form and keyword(form) in HELP:
        return f"{_TWIML}<Response><Message>{escape(help_text)}</Message></Response>"
    return f"{_TWIML}<Response/>"


_TWIML = '<?xml version="1.0" encoding="UTF-8"?>'
