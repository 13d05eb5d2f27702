"""The meaning of each provider error, in one table."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import requests
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from activities.providers.provider_errors import (
    BROKEN_OFF,
    NO_CONNECTION,
    TABLE,
    Fault,
    Verdict,
    parse_retry_after,
    transport_code,
)


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        (Fault("ses", NO_CONNECTION), Verdict.RETRY),
        (Fault("ses", BROKEN_OFF), Verdict.UNKNOWN),
        (Fault("ses", "TooManyRequestsException", 429), Verdict.WAIT),
        (Fault("ses", "Throttling", 400), Verdict.WAIT),
        (Fault("ses", "MessageRejected", 400), Verdict.GIVE_UP),
        (Fault("ses", "BadRequestException", 400), Verdict.GIVE_UP),
        (Fault("ses", "SendingPausedException", 400), Verdict.RETRY),
        (Fault("ses", "ExpiredTokenException", 403), Verdict.RETRY),
        (Fault("ses", "SomethingNew", 403), Verdict.RETRY),
        (Fault("ses", "SomethingNew", 418), Verdict.GIVE_UP),
        (Fault("ses", "InternalFailure", 500), Verdict.UNKNOWN),
        (Fault("ses", "ServiceUnavailable", 503), Verdict.UNKNOWN),
        (Fault("twilio", "20429", 429), Verdict.WAIT),
        (Fault("twilio", "21211", 400), Verdict.GIVE_UP),
        (Fault("twilio", "21610", 400), Verdict.GIVE_UP),
        (Fault("twilio", "20003", 401), Verdict.RETRY),
        (Fault("twilio", "", 502), Verdict.UNKNOWN),
        (Fault("hubspot", "", 409), Verdict.RETRY),
        (Fault("webhook", "", 403), Verdict.GIVE_UP),
        (Fault("webhook", "", 301), Verdict.GIVE_UP),
        (Fault("anybody"), Verdict.UNKNOWN),
    ],
    ids=str,
)
def test_a_fault_has_its_verdict(fault: Fault, verdict: Verdict) -> None:
    assert fault.verdict is verdict


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("twilio", "21610", 400), "stop"),
        (Fault("twilio", "21211", 400), "bounced"),
        (Fault("twilio", "21614", 400), "bounced"),
        (Fault("twilio", "21408", 400), ""),  # no permission for that region: our account's settings
        (Fault("twilio", "20003", 401), ""),
        (Fault("ses", "MessageRejected", 400), ""),
        (Fault("hubspot", "21610", 400), ""),
    ],
    ids=str,
)
def test_a_fault_of_the_number_suppresses_it(fault: Fault, reason: str) -> None:
    assert fault.suppress == reason
    assert not reason or fault.verdict is Verdict.GIVE_UP


@given(st.sampled_from(["ses", "twilio", "hubspot", "webhook", "new"]), st.text(max_size=20), st.integers(500, 599))
def test_no_server_error_is_ever_taken_for_not_sent(provider: str, code: str, status: int) -> None:
    if (provider, code) not in TABLE and ("*", code) not in TABLE:
        assert Fault(provider, code, status).verdict is Verdict.UNKNOWN


def test_only_a_request_that_cannot_have_left_counts_as_no_connection() -> None:
    never_left = [
        ConnectionRefusedError(),
        socket.gaierror(),
        httpx.ConnectError("x"),
        urllib3.exceptions.ConnectTimeoutError(),
        requests.ConnectionError(urllib3.exceptions.ProtocolError("x", ConnectionRefusedError())),
        requests.exceptions.SSLError(urllib3.exceptions.SSLError(ssl.SSLCertVerificationError())),
    ]
    may_have_left = [
        ConnectionResetError(),
        TimeoutError(),
        httpx.ReadTimeout("x"),
        httpx.WriteError("x"),
        httpx.RemoteProtocolError("x"),
        requests.ReadTimeout("x"),
        requests.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError())),
        requests.exceptions.SSLError(urllib3.exceptions.SSLError(ssl.SSLEOFError())),
        ValueError(),
    ]
    assert {transport_code(error) for error in never_left} == {NO_CONNECTION}
    assert {transport_code(error) for error in may_have_left} == {BROKEN_OFF}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("ses", "MessageRejected", 400), "ses:MessageRejected"),
        (Fault("webhook", "", 404), "webhook:404"),
        (Fault("ses", "no zeb@quagmire.test here", 400), "ses:400"),
        (Fault("ses", "x" * 65, 400), "ses:400"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_said_of_a_fault_is_a_code_and_nothing_else(fault: Fault, said: str) -> None:
    assert str(fault) == said


def test_exceptions_that_hold_each_other_end() -> None:
    one, other = ValueError(), ValueError()
    one.__cause__, other.__cause__ = other, one
    assert transport_code(one) == BROKEN_OFF


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("3", 3),
        ("0.5", 0.5),
        ("-4", 0),
        ("1e9", 3600),
        ("Mon, 02 Mar 2026 09:01:00 GMT", 60),
        ("Mon, 02 Mar 2026 08:00:00 GMT", 0),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str | None, seconds: float | None) -> None:
    now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    assert parse_retry_after(header, now) == (None if seconds is None else timedelta(seconds=seconds))


@given(st.text())
def test_any_retry_after_is_read_without_an_error(header: str) -> None:
    wait = parse_retry_after(header)
    assert wait is None or timedelta(0) <= wait <= timedelta(hours=1)
