"""Signed calls to the user's own systems, following the Standard Webhooks specification.

Anybody who may publish a track chooses the address, and the answer comes from outside. So the address is checked when
the connection is made (`webhook_addresses.py`), and only the status and `Retry-After` of the answer are used.
"""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import httpcore
import httpx
from standardwebhooks import Webhook

from activities.providers.ports import WebhookCall
from activities.providers.provider_errors import NO_CREDENTIALS, Fault, ProviderError, parse_retry_after, transport_code
from activities.providers.webhook_addresses import JudgingBackend, Receivers, RefusedAddressError

PROVIDER = "webhook"
ADDRESS_REFUSED = "address-refused"
BAD_ADDRESS = "bad-address"
MOST_READ = 1 << 16
"""Bytes of an answer that are read so that its connection can be used again; a longer answer is cut off."""
_CONNECT = 5.0
_IDLE = 5.0


class SignedWebhooks:
    """A `WebhookCaller` over httpcore: no cookies, no redirects, no proxy except the given one.

    Args:
        secret: signs each call (`whsec_…`). Without it no call is made: an unsigned call could come from anybody.
        timeout: for a whole call, until the end of the answer.
        receivers: which hosts may be called.
        proxy: the address of an HTTP proxy for all calls; the proxy resolves the names.
    """

    def __init__(
        self,
        *,
        secret: str,
        timeout: timedelta = timedelta(seconds=10),
        connections: int = 32,
        receivers: Receivers | None = None,
        proxy: str | None = None,
    ) -> None:
        self._signer = Webhook(secret) if secret else None
        self._timeout = timeout.total_seconds()
        self._receivers = receivers or Receivers()
        self._proxied = proxy is not None
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            proxy=_proxy(proxy) if proxy else None,
            max_connections=connections,
            keepalive_expiry=_IDLE,
            network_backend=None if proxy else JudgingBackend(self._receivers),
        )

    async def call(self, webhook: WebhookCall) -> None:
        """Deliver one call; see `WebhookCaller`."""
        signer = Webhook(webhook.secret) if webhook.secret else self._signer
        if signer is None:
            raise ProviderError(Fault(PROVIDER, NO_CREDENTIALS))
        body = json.dumps(webhook.body, separators=(",", ":"), ensure_ascii=False)
        sent_at = datetime.now(UTC)  # receivers refuse old timestamps, so each attempt has its own signature
        headers = {
            "user-agent": "Perennial",
            "accept": "*/*",
            "accept-encoding": "identity",
            "content-type": "application/json",
            "webhook-id": webhook.webhook_id,
            "webhook-timestamp": str(int(sent_at.timestamp())),
            "webhook-signature": signer.sign(webhook.webhook_id, sent_at, body),
        }
        fault: Fault
        try:
            status, retry_after = await self._post(webhook.url, headers, body.encode())
            if 200 <= status < 300:
                return
            fault = Fault(PROVIDER, "", status, parse_retry_after(retry_after))
        except RefusedAddressError:
            fault = Fault(PROVIDER, ADDRESS_REFUSED)
        except httpx.InvalidURL:
            fault = Fault(PROVIDER, BAD_ADDRESS)
        except (*_BROKEN, OSError) as error:
            fault = Fault(PROVIDER, transport_code(error))
        raise ProviderError(fault)

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> tuple[int, str | None]:
        """The status and the `Retry-After` header of the answer."""
        parsed = httpx.URL(url)
        target = httpcore.URL(scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path)
        if self._proxied:
            host = parsed.raw_host.decode("ascii")
            self._receivers.admit_host(host)
            self._receivers.admit_spelling(host)
        if parsed.userinfo:
            named = f"{unquote(parsed.username)}:{unquote(parsed.password)}".encode()
            headers = {**headers, "authorization": "Basic " + base64.b64encode(named).decode()}
        waits = {"connect": min(_CONNECT, self._timeout), "read": None, "write": None, "pool": self._timeout}
        answer: httpcore.Response | None = None
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._pool.stream(
                    "POST", target, headers=list(headers.items()), content=body, extensions={"timeout": waits}
                ) as answer,
            ):
                await _skim(answer)
        except TimeoutError:
            if answer is None:
                raise
        assert answer is not None
        again = next((value for name, value in answer.headers if name.lower() == b"retry-after"), None)
        return answer.status, None if again is None else again.decode("latin-1")

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()


_BROKEN = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


async def _skim(answer: httpcore.Response) -> None:
    """Read to the end of the answer if it is short; the connection of a longer answer cannot be used again."""
    size = 0
    async for piece in answer.aiter_stream():
        size += len(piece)
        if size > MOST_READ:
            return


def _proxy(address: str) -> httpcore.Proxy:
    url = httpx.URL(address)
    named = (unquote(url.username), unquote(url.password)) if url.userinfo else None
    return httpcore.Proxy(
        httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=b"/"), auth=named
    )
