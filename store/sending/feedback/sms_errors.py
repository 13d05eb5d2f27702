"""The meaning of Twilio's error codes for a number, in one table.

The same codes appear in status callbacks and in answers to a send; both use this table. Each is described at
https://www.twilio.com/docs/api/errors/<code>.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

SmsErrorClass = Literal[
    "unreachable", "blocked", "landline", "invalid", "unsubscribed", "filtered", "carrier", "unknown"
]
"""`unreachable`: the phone is off or out of reach; it may work later. `blocked`: the number is blocked from receiving
the message. `landline`: it takes no texts. `invalid`: no such number. `unsubscribed`: its owner has sent STOP.
`filtered`: the text was treated as unwanted. `carrier`: the cause is the sender's registration or the network.
`unknown`: no cause is given."""


class SmsError(NamedTuple):
    """The class of an error, and the reason for suppressing the number; empty if it may be tried again."""

    kind: SmsErrorClass
    suppress: Literal["", "bounced", "stop"] = ""


UNKNOWN = SmsError("unknown")

TABLE: dict[str, SmsError] = {
    # answers to a send
    "21211": SmsError("invalid", "bounced"),  # not a phone number
    "21217": SmsError("invalid", "bounced"),  # does not appear to be valid
    "21268": SmsError("invalid", "bounced"),  # premium rate or information service
    "21610": SmsError("unsubscribed", "stop"),
    "21612": SmsError("carrier"),  # no route from that sender to that number; another sender may have one
    "21614": SmsError("landline", "bounced"),  # not a mobile number
    "21635": SmsError("landline", "bounced"),
    # delivery
    "30001": SmsError("carrier"),  # the queue overflowed
    "30003": SmsError("unreachable"),
    "30004": SmsError("blocked", "stop"),  # blocklisted or opted out: START ends it at Twilio, and so here
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
    """The meaning of a code; `unknown` if the table does not have it."""
    return TABLE.get(code, UNKNOWN)


def is_code(text: str) -> bool:
    """Whether the text is a Twilio code; any other text might be personal."""
    return re.fullmatch(r"[0-9]{1,6}", text) is not None
