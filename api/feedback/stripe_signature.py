"""Verify that a request is from Stripe, with Stripe's own library.

The library is an extra. It is imported with the first signed request, because that takes 0.3 s of CPU and 25 MB.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

from settings import INSTALL_STRIPE, Settings

TOLERANCE = 300
"""Seconds after its signing at which a request is refused, because it may be a recorded one that is sent again."""


class Library(NamedTuple):
    """What is used of Stripe's library: the function that verifies, and the error that it raises."""

    verify: Callable[[bytes, str, str, int], object]
    refused: type[Exception]


class StripeSignature:
    """Knows the secrets with which Stripe may sign. Several are accepted, so that they can be changed."""

    def __init__(self, settings: Settings) -> None:
        self._secrets: Sequence[str] = settings.stripe_secrets
        self.missing = ""
        """What has to be set up before a request can be verified; empty if nothing is missing."""
        if not self._secrets:
            self.missing = "PERENNIAL_STRIPE_WEBHOOK_SECRET is not set"
        elif not settings.stripe_installed:
            self.missing = f"Stripe's library is not installed: {INSTALL_STRIPE}"

    async def genuine(self, body: bytes, header: str) -> bool:
        """Whether Stripe signed this body with one of the secrets at most `TOLERANCE` seconds ago."""
        if self.missing or not header or not header.isascii():  # the library compares ASCII only
            return False
        library = await asyncio.to_thread(_library)
        return any(_signed_with(secret, body, header, library) for secret in self._secrets)


def _signed_with(secret: str, body: bytes, header: str, library: Library) -> bool:
    try:
        library.verify(body, header, secret, TOLERANCE)
    except (library.refused, UnicodeDecodeError):
        return False
    return True


@cache
def _library() -> Library:
    from stripe import SignatureVerificationError, WebhookSignature

    return Library(WebhookSignature.verify_header, SignatureVerificationError)
