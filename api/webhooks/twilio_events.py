"""What Twilio's callbacks say: how a message fared, and what a contact answered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from store.messages import Progress

_STAGES: Mapping[str, tuple[Progress, str | None]] = {
    "queued": ("accepted", None),
    "sending": ("accepted", None),
    "sent": ("accepted", "sms.sent"),
    "delivered": ("delivered", "sms.delivered"),
    "read": ("delivered", "sms.delivered"),
    "undelivered": ("failed", "sms.failed"),
    "failed": ("failed", "sms.failed"),
}
STOP = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "OPTOUT", "REVOKE"})
START = frozenset({"START", "UNSTOP"})
"""Twilio's own opt-in words; YES is left to tracks, since it answers many questions."""
_ALSO_WORDS = frozenset({"CANCEL", "END", "QUIT", "START"})
_KEYWORDS = STOP | START | frozenset({"HELP", "INFO", "YES", "Y", "NO", "N", "OK"})


def stage(form: Mapping[str, str]) -> tuple[Progress, str | None] | None:
    """How far a message is and which event that is, if any; None for a stage that is not known here."""
    return _STAGES.get(form.get("MessageStatus", form.get("SmsStatus", "")).lower())


def failure(form: Mapping[str, str]) -> str:
    """Why a delivery failed: Twilio's error code, never its text."""
    code = form.get("ErrorCode", "")
    return f"twilio-{code}" if re.fullmatch(r"[0-9]{1,6}", code) else "undelivered"


def keyword(form: Mapping[str, str]) -> str:
    """The reply's word where it is one that has a meaning of its own, in upper case; else empty.

    Twilio's advanced opt-out tells by itself which texts mean to stop or to start, in any language.
    """
    opted = form.get("OptOutType", "").upper()
    if opted in ("STOP", "START", "HELP"):
        return opted
    words = re.findall(r"\w+", form.get("Body", ""))
    word = words[0].upper() if words else ""
    if word in _ALSO_WORDS and len(words) > 1:
        return ""  # "end of the week works" is an answer, not a wish to leave
    return word if word in _KEYWORDS else ""


def reply_properties(form: Mapping[str, str]) -> dict[str, Any]:
    """What may be kept of a reply: its text is personal, its keyword and length are not."""
    return {"keyword": keyword(form), "length": len(form.get("Body", ""))}
