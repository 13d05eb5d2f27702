"""Email through Amazon SES v2."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from email.utils import formataddr, parseaddr
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    TokenRetrievalError,
)

from activities.providers.ports import OutgoingEmail, SendingQuota
from activities.providers.provider_errors import (
    BAD_REQUEST,
    DAILY_QUOTA,
    NO_CREDENTIALS,
    Fault,
    ProviderError,
    Verdict,
    parse_retry_after,
    transport_code,
)
from activities.providers.thread_pool import Threads
from tracks.contacts.contact_fields import mail_form

T = TypeVar("T")

PROVIDER = "ses"
MESSAGE_TAG = "perennial-message"
"""The tag with our message's id; every SES event about the message carries it."""

QUOTA_PAUSE = timedelta(minutes=10)
"""The pause that Amazon asks for when the quota is used up
(https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas-errors.html)."""

_NO_KEY = (NoCredentialsError, PartialCredentialsError, NoRegionError, TokenRetrievalError)


class SesEmail:
    """An `EmailProvider` over one shared boto3 client, without boto3's retries: Temporal retries."""

    def __init__(
        self,
        *,
        region: str,
        configuration_set: str,
        endpoint_url: str | None = None,
        timeout: timedelta = timedelta(seconds=10),
        threads: int = 16,
    ) -> None:
        self._configuration_set = configuration_set
        self._threads = Threads("ses", threads)
        self._client: Any = boto3.client(
            "sesv2",
            region_name=region,
            endpoint_url=endpoint_url,
            config=Config(
                # botocore would send again after a read timeout, and the contact could get two emails
                retries={"total_max_attempts": 1, "mode": "standard"},
                connect_timeout=5,
                read_timeout=timeout.total_seconds(),
                max_pool_connections=threads,
            ),
        )

    async def send(self, email: OutgoingEmail) -> str:
        """Send one email through SES; see `EmailProvider`."""
        return await self._threads.run(self._send, email)

    async def quota(self) -> SendingQuota:
        """The account's present quota; see `EmailProvider`."""
        return await self._threads.run(self._quota)

    async def close(self) -> None:
        """Wait for running calls to end, and close the connections."""
        await self._threads.close()
        self._client.close()

    def _send(self, email: OutgoingEmail) -> str:
        try:
            request = self._request(email)
        except ValueError:  # an address that no header can hold
            raise ProviderError(Fault(PROVIDER, BAD_REQUEST)) from None
        return str(_called(lambda: self._client.send_email(**request)["MessageId"]))

    def _quota(self) -> SendingQuota:
        return _called(lambda: _sending_quota(self._client.get_account()))

    def _request(self, email: OutgoingEmail) -> dict[str, Any]:
        body = {"Text": {"Data": email.text, "Charset": "UTF-8"}}
        if email.html:
            body["Html"] = {"Data": email.html, "Charset": "UTF-8"}
        simple: dict[str, Any] = {"Subject": {"Data": email.subject, "Charset": "UTF-8"}, "Body": body}
        if email.unsubscribe_url:
            simple["Headers"] = [
                {"Name": "List-Unsubscribe", "Value": f"<{email.unsubscribe_url}>"},
                {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"},
            ]
        request: dict[str, Any] = {
            "FromEmailAddress": _mailbox(email.sender),
            "Destination": {"ToAddresses": [mail_form(email.to)]},
            "Content": {"Simple": simple},
            "EmailTags": [{"Name": MESSAGE_TAG, "Value": email.message_id}],
        }
        if email.reply_to:
            request["ReplyToAddresses"] = [_mailbox(email.reply_to)]
        if self._configuration_set:
            request["ConfigurationSetName"] = self._configuration_set
        return request


def _mailbox(text: str) -> str:
    """A mailbox that is safe in a header: SES accepts only ASCII there, in the name (RFC 2047) and in the address."""
    name, address = parseaddr(text)
    return formataddr((name, mail_form(address))) if address else text


def _called(call: Callable[[], T]) -> T:
    """The answer to a call of SES. Raises ProviderError, and no other exception."""
    fault: Fault
    try:
        return call()
    except ClientError as error:
        fault = _answered(error)
    except ParamValidationError:
        fault = Fault(PROVIDER, BAD_REQUEST)
    except _NO_KEY:
        fault = Fault(PROVIDER, NO_CREDENTIALS)
    except (BotoCoreError, OSError, KeyError) as error:  # KeyError: an answer lacks a field that every answer has
        fault = Fault(PROVIDER, transport_code(error))
    raise ProviderError(fault)


def _sending_quota(account: Any) -> SendingQuota:
    quota, enforcement = account["SendQuota"], str(account.get("EnforcementStatus", ""))
    per_day = float(quota["Max24HourSend"])
    return SendingQuota(
        per_second=float(quota["MaxSendRate"]),
        per_day=None if per_day < 0 else per_day,
        sent=float(quota["SentLast24Hours"]),
        enabled=bool(account.get("SendingEnabled", True)) and enforcement != "SHUTDOWN",
        enforcement=enforcement,
    )


def _answered(error: ClientError) -> Fault:
    response: Any = error.response
    metadata = response.get("ResponseMetadata", {})
    fault = Fault(
        PROVIDER,
        code=str(response.get("Error", {}).get("Code", "")),
        status=int(metadata.get("HTTPStatusCode", 0)),
        retry_after=parse_retry_after(metadata.get("HTTPHeaders", {}).get("retry-after")),
    )
    text = str(response.get("Error", {}).get("Message", "")).lower()
    if fault.verdict is Verdict.WAIT and "daily" in text and "quota" in text:  # one code for both kinds of limits
        return Fault(PROVIDER, DAILY_QUOTA, fault.status, fault.retry_after or QUOTA_PAUSE)
    return fault
