"""Whether a message is from Amazon SNS: signature versions 1 and 2, certificates from pinned hosts only."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_AMAZON = re.compile(r"sns\.[a-z]{2}(-[a-z]+)+-[0-9]\.amazonaws\.com(\.cn)?")
_AMAZON_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9a-f]{1,64}\.pem")
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_HASHES: Mapping[str, type[hashes.HashAlgorithm]] = {"1": hashes.SHA1, "2": hashes.SHA256}
_MAX_CERTIFICATE = 64 * 1024
_CACHED = 16


class ForgedError(Exception):
    """The message is not what SNS signed; the text says why."""


class CertificateUnavailableError(Exception):
    """The certificate could not be fetched now; SNS will deliver the message again."""


def string_to_sign(message: Mapping[str, Any]) -> bytes:
    """The text that SNS signs: the fields of the type, by name, each as a line of its name and one of its value.

    Raises:
        ForgedError: where the type is unknown or a field is missing.
    """
    names = _SIGNED.get(str(message.get("Type")))
    if names is None:
        raise ForgedError("unknown message type")
    lines = []
    for name in names:
        value = message.get(name)
        if value is None and name == "Subject":
            continue
        if not isinstance(value, str):
            raise ForgedError(f"{name} is missing")
        lines += [name, value]
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")


class SnsVerifier:
    """Verifies messages with certificates that it fetches once from Amazon's hosts or the sandbox's.

    Args:
        client: fetches certificates and confirms subscriptions; must not follow redirects.
        sandbox: base address of a stand-in for SNS that is trusted like Amazon's hosts.
        topics: ARNs whose messages are believed; empty means all.
    """

    def __init__(self, client: httpx.AsyncClient, sandbox: str | None, topics: tuple[str, ...] = ()) -> None:
        self._client, self._topics = client, topics
        self._sandbox = _origin(sandbox) if sandbox else None
        self._keys: OrderedDict[str, tuple[rsa.RSAPublicKey, datetime]] = OrderedDict()
        self._fetching = asyncio.Lock()

    async def verify(self, message: Mapping[str, Any]) -> None:
        """Return where the message is from SNS.

        Raises:
            ForgedError: where it is not.
            CertificateUnavailableError: where that cannot be told now.
        """
        algorithm = _HASHES.get(str(message.get("SignatureVersion")))
        if algorithm is None:
            raise ForgedError("unknown signature version")
        signed = string_to_sign(message)
        if self._topics and message["TopicArn"] not in self._topics:
            raise ForgedError("the topic is not one of those that are believed")
        try:
            signature = base64.b64decode(str(message.get("Signature")), validate=True)
        except (binascii.Error, ValueError):
            raise ForgedError("the signature is not base64") from None
        key = await self._key(str(message.get("SigningCertURL")))
        try:
            key.verify(signature, signed, padding.PKCS1v15(), algorithm())
        except InvalidSignature:
            raise ForgedError("the signature does not match") from None

    async def confirm(self, message: Mapping[str, Any]) -> None:
        """Confirm a verified subscription by visiting its address, on the pinned hosts only.

        Raises:
            ForgedError: where the address is on another host.
            CertificateUnavailableError: where it does not answer with success.
        """
        url = str(message.get("SubscribeURL"))
        if not self._pinned(url):
            raise ForgedError("the subscription's address is not on an SNS host")
        try:
            answer = await self._client.get(url, follow_redirects=False)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise CertificateUnavailableError(f"confirming the subscription: {type(error).__name__}") from None

    def _pinned(self, url: str) -> bool:
        origin = _origin(url)
        if origin is None:
            return False
        scheme, host, port = origin
        if scheme == "https" and port == 443 and _AMAZON.fullmatch(host):
            return True
        return self._sandbox is not None and origin == self._sandbox

    async def _key(self, url: str) -> rsa.RSAPublicKey:
        if not self._pinned(url) or not self._names_certificate(url):
            raise ForgedError("the certificate is not on an SNS host")
        if key := self._cached(url):
            return key
        async with self._fetching:
            if key := self._cached(url):
                return key
            self._keys[url] = await self._fetch(url)
            if len(self._keys) > _CACHED:
                self._keys.popitem(last=False)
            return self._keys[url][0]

    def _names_certificate(self, url: str) -> bool:
        if _origin(url) == self._sandbox:
            return True
        parts = urlsplit(url)
        return not parts.query and _AMAZON_CERTIFICATE.fullmatch(parts.path) is not None

    def _cached(self, url: str) -> rsa.RSAPublicKey | None:
        found = self._keys.get(url)
        return found[0] if found and datetime.now(UTC) < found[1] else None

    async def _fetch(self, url: str) -> tuple[rsa.RSAPublicKey, datetime]:
        try:
            async with self._client.stream("GET", url, follow_redirects=False) as answer:
                answer.raise_for_status()
                pem = b""
                async for chunk in answer.aiter_bytes():
                    pem += chunk
                    if len(pem) > _MAX_CERTIFICATE:
                        raise ForgedError("the certificate is too large")
        except httpx.HTTPError as error:
            raise CertificateUnavailableError(f"fetching the certificate: {type(error).__name__}") from None
        try:
            certificate = x509.load_pem_x509_certificate(pem)
        except ValueError:
            raise ForgedError("the certificate cannot be read") from None
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise ForgedError("the certificate's key is not RSA")
        if not certificate.not_valid_before_utc <= datetime.now(UTC) < certificate.not_valid_after_utc:
            raise ForgedError("the certificate is not valid now")
        return key, certificate.not_valid_after_utc


def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        return None
    return parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80)
