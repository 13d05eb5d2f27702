"""Text messages through Twilio."""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from requests import RequestException
from requests.adapters import HTTPAdapter
from twilio.base import values
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from activities.providers.ports import FoundSms, OutgoingSms
from activities.providers.provider_errors import NO_CREDENTIALS, Fault, ProviderError, parse_retry_after, transport_code
from activities.providers.thread_pool import Threads

PROVIDER = "twilio"
_FIND_LIMIT = 50

_SILENT = logging.getLogger("perennial.twilio")
_SILENT.disabled = True  # the SDK logs whole requests: addresses and texts


class TwilioSms:
    """An `SmsProvider` over the Twilio SDK, without the SDK's retries: Temporal retries.

    Args:
        callback_base: the public address of the API; Twilio reports about each message to an address below it.
        base_url: replaces Twilio's own address, for example by the sandbox's.
        messaging_service_sid: chooses the sender if a message names none.
    """

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        callback_base: str,
        base_url: str | None = None,
        messaging_service_sid: str | None = None,
        timeout: timedelta = timedelta(seconds=10),
        threads: int = 8,
    ) -> None:
        self._callbacks = f"{callback_base.rstrip('/')}/webhooks/twilio/status"
        self._service = messaging_service_sid
        self._threads = Threads("twilio", threads)
        self._http = _Http(base_url, timeout.total_seconds(), threads)
        self._account = (account_sid, auth_token)
        # The SDK cannot be created without credentials, but a worker that sends no SMS must start without them.
        self._client = Client(account_sid, auth_token, http_client=self._http) if all(self._account) else None

    async def send(self, sms: OutgoingSms) -> str:
        """Send one message through Twilio; see `SmsProvider`."""
        return await self._threads.run(self._send, sms)

    async def find(self, sms: OutgoingSms, since: datetime) -> list[FoundSms]:
        """Twilio's list of messages to that recipient; see `SmsProvider`."""
        return await self._threads.run(self._find, sms, since)

    async def close(self) -> None:
        """Wait for running calls to end, and close the connections."""
        await self._threads.close()
        self._http.close()

    def _send(self, sms: OutgoingSms) -> str:
        client = self._ready()
        fault: Fault
        try:
            message = client.messages.create(
                to=sms.to,
                from_=sms.sender or values.unset,
                messaging_service_sid=values.unset if sms.sender else self._service or values.unset,
                body=sms.body,
                status_callback=f"{self._callbacks}/{sms.message_id}",
            )
            if message.sid:
                return str(message.sid)
            fault = Fault(PROVIDER, "no-sid")
        except (TwilioException, RequestException, OSError, ValueError) as error:
            fault = self._fault(error)
        raise ProviderError(fault)

    def _find(self, sms: OutgoingSms, since: datetime) -> list[FoundSms]:
        client = self._ready()
        try:
            # Not filtered by date in the request: a message in Twilio's queue has no date of sending yet.
            listed = client.messages.list(to=sms.to, from_=sms.sender or values.unset, limit=_FIND_LIMIT)
            return [
                FoundSms(str(message.sid), message.body or "")
                for message in listed
                if message.date_created is None or message.date_created >= since
            ]
        except (TwilioException, RequestException, OSError, ValueError) as error:
            fault = self._fault(error)
        raise ProviderError(fault)

    def _ready(self) -> Client:
        if self._client is None:
            raise ProviderError(Fault(PROVIDER, NO_CREDENTIALS))
        return self._client

    def _fault(self, error: Exception) -> Fault:
        if isinstance(error, TwilioRestException | TwilioServiceException):
            wait = parse_retry_after(self._http.retry_after())
            return Fault(PROVIDER, str(error.code or ""), int(error.status or 0), wait)
        page = next((a for a in error.args if isinstance(a, Response)), None)  # the SDK's error for a failed list call
        if page is not None:
            wait = parse_retry_after(self._http.retry_after())
            return Fault(PROVIDER, "", int(page.status_code), wait)
        # An answer that the SDK cannot read does not prove that nothing was accepted.
        return Fault(PROVIDER, transport_code(error))


class _Http(TwilioHttpClient):  # type: ignore[misc]  # the SDK has no types
    """The SDK's own HTTP client with another address, a timeout on every call, and no retries."""

    def __init__(self, base_url: str | None, timeout: float, connections: int) -> None:
        super().__init__(logger=_SILENT)
        self.timeout: Any = (5.0, timeout)
        self._base = urlsplit(base_url) if base_url else None
        self._answer = threading.local()  # the SDK's exceptions have no headers; a call stays in one thread
        adapter = HTTPAdapter(pool_maxsize=connections, max_retries=0)
        assert self.session is not None
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, adapter)

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        if self._base is not None:
            parts = urlsplit(url)
            url = urlunsplit((self._base.scheme, self._base.netloc, parts.path, parts.query, parts.fragment))
        self._answer.headers = {}
        response = super().request(method, url, *args, **kwargs)
        self._answer.headers = response.headers or {}
        return response

    def retry_after(self) -> str | None:
        """The header in the last answer that this thread received."""
        found = getattr(self._answer, "headers", {}).get("retry-after")
        return str(found) if found is not None else None

    def close(self) -> None:
        if self.session is not None:
            self.session.close()
