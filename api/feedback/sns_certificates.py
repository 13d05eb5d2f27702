"""The public keys of SNS, fetched from checked addresses, few at a time. Failures are remembered.

An unverified message can make this process call Amazon, so the calls are bounded: a thousand forged messages cost a
few fetches, and do not delay genuine messages whose certificate is known.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from datetime import UTC, datetime

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from api.feedback.sns_addresses import Address

FETCHES = 4
"""How many certificates are fetched at the same time."""
WAITING = 64
"""How many messages may wait for them."""
SECONDS = 5.0
"""Timeout of a fetch, in seconds."""
REMEMBERED = 60.0
"""Seconds for which a failure is remembered. For a stand-in on this machine it is a twelfth of this."""
_MAX_CERTIFICATE = 64 * 1024
_CACHED = 16
_FAILURES = 1024


class ForgedError(Exception):
    """The message is not what SNS signed; the text says why."""


class CertificateUnavailableError(Exception):
    """The certificate could not be fetched now; SNS will deliver the message again."""


Failure = ForgedError | CertificateUnavailableError
Outcome = tuple[rsa.RSAPublicKey, datetime] | Failure


class Certificates:
    """Public keys by the address of their certificate."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        """`client` must not follow redirects."""
        self._client = client
        self._keys: OrderedDict[str, tuple[rsa.RSAPublicKey, datetime]] = OrderedDict()
        self._failed: OrderedDict[str, tuple[Failure, float]] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[Outcome]] = {}
        self._waiting = 0

    def known(self, address: Address) -> rsa.RSAPublicKey | None:
        """The key if it has been fetched and its certificate is valid now, else None."""
        found = self._keys.get(address.url)
        return found[0] if found and datetime.now(UTC) < found[1] else None

    async def key(self, address: Address) -> rsa.RSAPublicKey:
        """The key of the certificate at this address.

        Raises:
            ForgedError: if the address has no valid certificate with an RSA key.
            CertificateUnavailableError: if the fetch fails, or too many fetches are running.
        """
        if key := self.known(address):
            return key
        url = address.url
        if (failure := self._failed.get(url)) and time.monotonic() < failure[1]:
            raise _anew(failure[0])
        fetch = self._under_way.get(url)
        if self._waiting >= WAITING or (fetch is None and len(self._under_way) >= FETCHES):
            raise CertificateUnavailableError("too many certificates are being fetched")
        if fetch is None:
            fetch = self._under_way[url] = asyncio.create_task(self._get(address))
        self._waiting += 1
        try:
            outcome = await asyncio.shield(fetch)  # a cancelled waiter must not cancel the fetch of the others
        finally:
            self._waiting -= 1
        if isinstance(outcome, Exception):
            raise _anew(outcome)
        return outcome[0]

    async def _get(self, address: Address) -> Outcome:
        """Fetch a certificate and remember the outcome."""
        try:
            found = await self._fetched(address.url)
            self._keys[address.url] = found
            if len(self._keys) > _CACHED:
                self._keys.popitem(last=False)
            return found
        except (ForgedError, CertificateUnavailableError) as error:
            seconds = REMEMBERED if address.scheme == "https" else REMEMBERED / 12
            self._failed[address.url] = (_anew(error), time.monotonic() + seconds)
            if len(self._failed) > _FAILURES:
                self._failed.popitem(last=False)
            return _anew(error)
        finally:
            del self._under_way[address.url]

    async def _fetched(self, url: str) -> tuple[rsa.RSAPublicKey, datetime]:
        try:
            async with asyncio.timeout(SECONDS), self._client.stream("GET", url, follow_redirects=False) as answer:
                answer.raise_for_status()
                pem = b""
                async for chunk in answer.aiter_bytes():
                    pem += chunk
                    if len(pem) > _MAX_CERTIFICATE:
                        raise ForgedError("the certificate is too large")
        except httpx.InvalidURL:
            raise ForgedError("the certificate's address cannot be read") from None
        except (httpx.HTTPError, TimeoutError) as error:
            raise CertificateUnavailableError(f"fetching the certificate: {type(error).__name__}") from None
        try:
            certificate = x509.load_pem_x509_certificate(pem)
            key = certificate.public_key()
        except Exception:  # the data may be anything, and the parser raises many kinds of errors
            raise ForgedError("the certificate cannot be read") from None
        if not isinstance(key, rsa.RSAPublicKey):
            raise ForgedError("the certificate's key is not RSA")
        if not certificate.not_valid_before_utc <= datetime.now(UTC) < certificate.not_valid_after_utc:
            raise ForgedError("the certificate is not valid now")
        return key, certificate.not_valid_after_utc


def _anew(failure: Failure) -> Failure:
    """A copy of a failure, to raise again. A raised exception keeps its traceback alive, with bodies of requests."""
    return type(failure)(*failure.args)
