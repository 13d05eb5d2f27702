"""Verify that a request is from HubSpot: its signature, version 3.

https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation

HubSpot's own library is not used for this: it takes a request signed for the future, and only a body that is text.
"""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Callable, Sequence

from settings import Settings

SIGNATURE, TIMESTAMP = "x-hubspot-signature-v3", "x-hubspot-request-timestamp"
"""The headers, the time in milliseconds since 1970."""
TOLERANCE = 300
"""Seconds before and after its signing in which a request is taken: an older one may be recorded and sent again."""
_DECODED = {
    "%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$", "%27": "'", "%28": "(", "%29": ")",
    "%2A": "*", "%2C": ",", "%3B": ";",
}  # fmt: skip
"""The characters of an address that HubSpot signs decoded."""


class HubSpotSignature:
    """Knows the secrets with which HubSpot may sign, and the public address that it calls.

    The address is the public one: behind a proxy, this process sees another address than the one that HubSpot called.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._secrets: Sequence[str] = settings.hubspot_secrets
        self._base = settings.public_url.rstrip("/")
        self._clock = clock
        self.missing = "" if self._secrets else "PERENNIAL_HUBSPOT_CLIENT_SECRET is not set"
        """What has to be set up before a request can be verified; empty if nothing is missing."""

    def genuine(self, path: str, query: str, body: bytes, signature: str, timestamp: str) -> bool:
        """Whether HubSpot signed this POST to this path and query at most `TOLERANCE` seconds ago."""
        if not signature.isascii() or not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 16):
            return False
        if abs(self._clock() - int(timestamp) / 1000) > TOLERANCE:
            return False
        uri = decoded(f"{self._base}{path}{f'?{query}' if query else ''}")
        signed = b"POST" + uri.encode() + body + timestamp.encode()
        # each secret is tried, so that the time taken does not tell which one fits
        fits = [hmac.compare_digest(sign(secret, signed), signature) for secret in self._secrets]
        return any(fits)


def sign(secret: str, signed: bytes) -> str:
    """HMAC-SHA256 in base64."""
    return base64.b64encode(hmac.digest(secret.encode(), signed, "sha256")).decode()


def decoded(uri: str) -> str:
    """The address as HubSpot signs it, in which some characters are not encoded."""
    for code, character in _DECODED.items():
        uri = uri.replace(code, character).replace(code.lower(), character)
    return uri
