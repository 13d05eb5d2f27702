"""Signed calls to the user's own systems, after the Standard Webhooks specification."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import httpx
from standardwebhooks import Webhook

from activities.outcomes import NO_CREDENTIALS, Fault, ProviderError, parse_retry_after, transport_code
from activities.ports import WebhookCall

PROVIDER = "webhook"


class SignedWebhooks:
    """A `WebhookCaller` over httpx; make it inside a running event loop.

    Args:
        secret: signs each call (`whsec_…`). Without one no call leaves: an unsigned one could be anybody's.
    """

    def __init__(self, *, secret: str, timeout: timedelta = timedelta(seconds=10), connections: int = 32) -> None:
        self._signer = Webhook(secret) if secret else None
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout.total_seconds(), connect=5.0),
            limits=httpx.Limits(max_connections=connections),
            follow_redirects=False,
            headers={"user-agent": "Perennial"},
        )

    async def call(self, webhook: WebhookCall) -> None:
        """Deliver one call; see `WebhookCaller`."""
        if self._signer is None:
            raise ProviderError(Fault(PROVIDER, NO_CREDENTIALS))
        body = json.dumps(webhook.body, separators=(",", ":"), ensure_ascii=False)
        sent_at = datetime.now(UTC)  # receivers refuse old timestamps, so each attempt signs its own
        headers = {
            "content-type": "application/json",
            "webhook-id": webhook.webhook_id,
            "webhook-timestamp": str(int(sent_at.timestamp())),
            "webhook-signature": self._signer.sign(webhook.webhook_id, sent_at, body),
        }
        fault: Fault
        try:
            response = await self._client.post(webhook.url, content=body.encode(), headers=headers)
            if response.is_success:
                return
            fault = Fault(PROVIDER, "", response.status_code, parse_retry_after(response.headers.get("retry-after")))
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            fault = Fault(PROVIDER, transport_code(error))
        raise ProviderError(fault)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
