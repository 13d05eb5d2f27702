"""What Twilio's error codes say about a number, in one table.

The same codes come in status callbacks and as answers to a send; both are judged here. Each is described at
https://www.twilio.com/docs/api/errors/<code>.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

SmsErrorClass = Literal[
    "unreachable", "blocked", "landline", "invalid", "unsubscribed", "filtered", "carrier", "unknown"
]
"""`unreachable`: the phone is off or out of reach, it may work later. `blocked`: the number is kept from getting the
message. `landline`: takes no texts. `invalid`: no such number. `unsubscribed`: its owner has said STOP. `filtered`: the
text was taken for unwanted. `carrier`: the fault is in the sender's registration or in the network. `unknown`: not
said."""


class SmsError(NamedTuple):
    """The class of an error, and the reason to suppress the number for; empty where it may be tried again."""

    kind: SmsErrorClass
    suppress: Literal["", "bounced", "stop"] = ""


UNKNOWN = SmsError("unknown")

TABLE: dict[str, SmsError] = {
    # answers to a send
    "21211": SmsError("invalid", "bounced"),  # not a phone number
    "21217": SmsError("invalid", "bounced"),  # does not appear to be valid
    "21268": SmsError("invalid", "bounced"),  # premium rate or information service
    "21610": SmsError("unsubscribed", "stop"),
    "21612": SmsError("carrier"),  # no way from that sender to that number; another sender may have one
    "21614": SmsError("landline", "bounced"),  # not a mobile number
    "21635": SmsError("landline", "bounced"),
    # delivery
    "30001": SmsError("carrier"),  # the queue overflowed
    "30003": SmsError("unreachable"),
    "30004": SmsError("blocked", "stop"),  # blocklisted or opted out: START lifts it there, and so here
    "30005": SmsError("invalid", "bounced"),  # unknown or no longer in service
    "30006": SmsError("landline", "bounced"),
    "30007": SmsError("filtered"),
    "30008": UNKNOWN,
    "30009": SmsError("carrier"),  # a segment was lost
    "30022": SmsError("carrier"),  # faster than the campaign may send
    "30024": SmsError("carrier"),  # the sender is not provisioned there
    "30034": SmsError("carrier"),  # the sender is not registered (US A2P 10DLC)
    "30450": SmsError("filtered"),  # held for half an hour as a suspected fraud
}


def sms_error(code: str) -> SmsError:
    """What a code says; `unknown` where it is none of the table."""
    return TABLE.get(code, UNKNOWN)


def is_code(text: str) -> bool:
    """Whether it is one of Twilio's codes and not some other text, which might be personal."""
    return re.fullmatch(r"[0-9]{1,6}", text) is not None
