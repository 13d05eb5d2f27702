"""The meaning of a provider's error for the message, in one table.

An adapter reports what happened (`Fault`: no connection, a broken connection, or an answer with a status and a code).
The table decides what follows. An adapter never passes on a provider's text, because such texts may quote addresses.
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

from store.sending.feedback.sms_errors import sms_error


class Verdict(StrEnum):
    """What follows from a provider's error."""

    RETRY = "retry"
    """Not sent, but not because of this message: try again later."""
    WAIT = "wait"
    """Not sent, because of too many calls: try again when the provider allows it."""
    GIVE_UP = "give_up"
    """Not sent, and it never will be: the cause is this message or its recipient."""
    UNKNOWN = "unknown"
    """Nobody knows whether it was sent."""


NO_CONNECTION = "no-connection"
"""The request cannot have reached the provider: refused, unknown host, connect timeout, untrusted certificate."""
BROKEN_OFF = "broken-off"
"""The request may have reached the provider: read timeout, reset, closed before the answer."""
NO_CREDENTIALS = "no-credentials"
DAILY_QUOTA = "daily-quota"
"""The account has used its quota of 24 hours. Unlike other throttling, this does not end within seconds."""
BAD_REQUEST = "bad-request"
"""The provider's own client library refused it before anything was sent."""

TABLE: dict[tuple[str, str], Verdict] = {
    # (provider, code, status or class of status); the first of these keys that the table contains decides
    ("*", NO_CONNECTION): Verdict.RETRY,
    ("*", BROKEN_OFF): Verdict.UNKNOWN,
    ("*", NO_CREDENTIALS): Verdict.RETRY,
    ("*", DAILY_QUOTA): Verdict.WAIT,
    ("*", BAD_REQUEST): Verdict.GIVE_UP,
    ("*", "401"): Verdict.RETRY,  # our key is wrong: an operator corrects it, and no contact loses a message
    ("*", "403"): Verdict.RETRY,
    ("*", "408"): Verdict.UNKNOWN,
    ("*", "423"): Verdict.RETRY,
    ("*", "425"): Verdict.RETRY,
    ("*", "429"): Verdict.WAIT,
    ("*", "4xx"): Verdict.GIVE_UP,
    # A server error does not prove that nothing was sent. Amazon advises to space out retries of SES's 5xx answers, so
    # that they cause fewer duplicates: so some were accepted. SES's own Send event settles such messages.
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
    ("ses", "NotFoundException"): Verdict.RETRY,  # the configuration set: a problem of our set-up, not of this message
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
    ("twilio", "20404"): Verdict.RETRY,  # no such account: the address of the call contains nothing of the message
    ("twilio", "21408"): Verdict.GIVE_UP,  # no permission for that region
    ("twilio", "21610"): Verdict.GIVE_UP,  # the recipient has sent STOP
    # HubSpot
    ("hubspot", "no-email"): Verdict.GIVE_UP,  # HubSpot identifies contacts by their address
    ("hubspot", "409"): Verdict.RETRY,  # another writer changed the contact at the same time
    ("hubspot", "477"): Verdict.WAIT,  # the account is being moved
    # the `webhook` step: a refusal is the receiver's decision
    ("webhook", "401"): Verdict.GIVE_UP,
    ("webhook", "403"): Verdict.GIVE_UP,
    ("webhook", "3xx"): Verdict.GIVE_UP,  # no redirect is followed to an address that no track names
    ("webhook", "address-refused"): Verdict.GIVE_UP,
    ("webhook", "bad-address"): Verdict.GIVE_UP,
}


_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True)
class Fault:
    """What happened in a call to a provider; it contains nothing personal."""

    provider: str
    code: str = ""
    """The provider's own code, or one of this module's constants."""
    status: int = 0
    """The HTTP status of the answer, 0 without one."""
    retry_after: timedelta | None = None

    @property
    def verdict(self) -> Verdict:
        """What follows from the fault, by the table."""
        for key in self._keys():
            for provider in (self.provider, "*"):
                verdict = TABLE.get((provider, key))
                if verdict is not None:
                    return verdict
        return Verdict.UNKNOWN

    @property
    def suppress(self) -> str:
        """The reason for suppressing the recipient's address; empty if the address is not the cause."""
        return sms_error(self.code).suppress if self.provider == "twilio" else ""

    def __str__(self) -> str:
        code = self.code if _CODE.fullmatch(self.code) else ""  # an answer from outside may contain anything here
        return f"{self.provider}:{code or self.status}"

    def _keys(self) -> Iterator[str]:
        if self.code:
            yield self.code
        if self.status:
            yield str(self.status)
            yield f"{self.status // 100}xx"
        yield "other"


class ProviderError(Exception):
    """A call to a provider failed. Adapters raise it `from None`, so that the provider's text is not passed on."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def transport_code(error: BaseException) -> str:
    """Whether a request without an answer can have reached the provider: NO_CONNECTION or BROKEN_OFF."""
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


# A TLS error other than an untrusted certificate may also come after the request, so it proves nothing.
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
    """An exception and all exceptions inside it, in whichever way its library keeps them."""
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
