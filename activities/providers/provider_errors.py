"""What a provider's error means for the message, in one table.

An adapter says what happened (`Fault`: no connection, a connection that broke, or an answer with a status and
a code); the table says what follows. Texts of providers never leave an adapter: they quote addresses.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

import httpcore
import httpx
import urllib3.exceptions

from store.sending.sms_errors import sms_error


class Verdict(StrEnum):
    """What follows from a provider's error."""

    RETRY = "retry"
    """Not sent, and not for a reason in this message: try again later."""
    WAIT = "wait"
    """Not sent, because of too many calls: try again when told."""
    GIVE_UP = "give_up"
    """Not sent, and never will be: the fault is in this message or its recipient."""
    UNKNOWN = "unknown"
    """Nobody knows whether it was sent."""


NO_CONNECTION = "no-connection"
"""The request cannot have reached the provider: refused, unknown host, connect timeout, untrusted certificate."""
BROKEN_OFF = "broken-off"
"""The request may have reached the provider: read timeout, reset, closed before the answer."""
NO_CREDENTIALS = "no-credentials"
DAILY_QUOTA = "daily-quota"
"""The account has sent what it may in 24 hours: not a matter of seconds, unlike other throttling."""
BAD_REQUEST = "bad-request"
"""Refused by the provider's own client library before anything was sent."""

TABLE: dict[tuple[str, str], Verdict] = {
    # (provider, code, status or class of status); the first of these keys that is in the table decides
    ("*", NO_CONNECTION): Verdict.RETRY,
    ("*", BROKEN_OFF): Verdict.UNKNOWN,
    ("*", NO_CREDENTIALS): Verdict.RETRY,
    ("*", DAILY_QUOTA): Verdict.WAIT,
    ("*", BAD_REQUEST): Verdict.GIVE_UP,
    ("*", "401"): Verdict.RETRY,  # our key is wrong: an operator mends it, no contact loses a message
    ("*", "403"): Verdict.RETRY,
    ("*", "408"): Verdict.UNKNOWN,
    ("*", "423"): Verdict.RETRY,
    ("*", "425"): Verdict.RETRY,
    ("*", "429"): Verdict.WAIT,
    ("*", "4xx"): Verdict.GIVE_UP,
    # A server error is no proof that nothing was sent. Amazon has retries of SES's 5xx answers spaced out so that fewer
    # duplicates come of them: some were accepted, then. SES's own Send event settles those.
    # https://docs.aws.amazon.com/ses/latest/DeveloperGuide/api-error-codes.html
    ("*", "5xx"): Verdict.UNKNOWN,
    ("*", "other"): Verdict.UNKNOWN,
    # Amazon SES
    ("ses", "TooManyRequestsException"): Verdict.WAIT,
    ("ses", "LimitExceededException"): Verdict.WAIT,
    ("ses", "Throttling"): Verdict.WAIT,
    ("ses", "ThrottlingException"): Verdict.WAIT,
    ("ses", "RequestThrottled"): Verdict.WAIT,
    ("ses", "AccountSuspendedException"): Verdict.RETRY,
    ("ses", "SendingPausedException"): Verdict.RETRY,
    ("ses", "MailFromDomainNotVerifiedException"): Verdict.RETRY,
    ("ses", "NotFoundException"): Verdict.RETRY,  # the configuration set: our set-up, not this message
    ("ses", "ExpiredTokenException"): Verdict.RETRY,
    ("ses", "UnrecognizedClientException"): Verdict.RETRY,
    ("ses", "InvalidClientTokenId"): Verdict.RETRY,
    ("ses", "SignatureDoesNotMatch"): Verdict.RETRY,
    ("ses", "InvalidSignatureException"): Verdict.RETRY,
    ("ses", "AccessDeniedException"): Verdict.RETRY,
    ("ses", "MessageRejected"): Verdict.GIVE_UP,
    ("ses", "BadRequestException"): Verdict.GIVE_UP,
    # Twilio (its error dictionary's numbers)
    ("twilio", "14107"): Verdict.WAIT,  # send rate exceeded
    ("twilio", "20429"): Verdict.WAIT,  # too many requests
    ("twilio", "21611"): Verdict.WAIT,  # the sender's queue is full
    ("twilio", "20003"): Verdict.RETRY,  # authentication
    ("twilio", "20005"): Verdict.RETRY,  # account not active
    ("twilio", "20404"): Verdict.RETRY,  # no such account: the address of the call holds nothing of the message
    ("twilio", "21408"): Verdict.GIVE_UP,  # no permission for that region
    ("twilio", "21610"): Verdict.GIVE_UP,  # the recipient has said STOP
    # HubSpot
    ("hubspot", "no-email"): Verdict.GIVE_UP,  # contacts are known there by their address
    ("hubspot", "409"): Verdict.RETRY,  # two writers met on one contact
    ("hubspot", "477"): Verdict.WAIT,  # the account is being moved
    # the `webhook` step: an answer that says no is the receiver's decision
    ("webhook", "401"): Verdict.GIVE_UP,
    ("webhook", "403"): Verdict.GIVE_UP,
    ("webhook", "3xx"): Verdict.GIVE_UP,  # nobody is followed to an address that no track names
    ("webhook", "address-refused"): Verdict.GIVE_UP,
    ("webhook", "bad-address"): Verdict.GIVE_UP,
}


_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True)
class Fault:
    """What happened in a call of a provider; nothing of it is personal."""

    provider: str
    code: str = ""
    """The provider's own code, or one of this module's constants."""
    status: int = 0
    """The HTTP status of the answer, 0 without one."""
    retry_after: timedelta | None = None

    @property
    def verdict(self) -> Verdict:
        """What follows, by the table."""
        for key in self._keys():
            for provider in (self.provider, "*"):
                verdict = TABLE.get((provider, key))
                if verdict is not None:
                    return verdict
        return Verdict.UNKNOWN

    @property
    def suppress(self) -> str:
        """The reason to suppress the recipient's address for; empty where the fault is not the address."""
        return sms_error(self.code).suppress if self.provider == "twilio" else ""

    def __str__(self) -> str:
        code = self.code if _CODE.fullmatch(self.code) else ""  # a stranger's answer may hold anything there
        return f"{self.provider}:{code or self.status}"

    def _keys(self) -> Iterator[str]:
        if self.code:
            yield self.code
        if self.status:
            yield str(self.status)
            yield f"{self.status // 100}xx"
        yield "other"


class ProviderError(Exception):
    """A call of a provider failed; raised by adapters `from None`, so that no provider's text travels along."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def transport_code(error: BaseException) -> str:
    """Whether a request that got no answer can have reached the provider: NO_CONNECTION or BROKEN_OFF."""
    return NO_CONNECTION if any(isinstance(e, _NEVER_LEFT) for e in _chain(error)) else BROKEN_OFF


def parse_retry_after(value: str | None, now: datetime | None = None) -> timedelta | None:
    """A Retry-After header (seconds or an HTTP date) as a time from now, at most an hour; None if it is neither."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        seconds = (at - (now or datetime.now(UTC))).total_seconds()
    if seconds != seconds:  # NaN
        return None
    return timedelta(seconds=min(max(seconds, 0.0), 3600.0))


# A TLS error other than an untrusted certificate may as well come after the request: it is no proof.
_NEVER_LEFT = (
    ConnectionRefusedError,
    socket.gaierror,
    ssl.SSLCertVerificationError,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.PoolTimeout,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and all that it wraps, in whichever way its library keeps them."""
    queue: list[object] = [error]
    seen: set[int] = set()
    while queue:
        current = queue.pop(0)
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        wrapped = getattr(current, "kwargs", None)  # botocore's
        queue += [current.__cause__, getattr(current, "reason", None), *current.args]
        queue += list(wrapped.values()) if isinstance(wrapped, dict) else []
