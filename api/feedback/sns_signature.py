"""Whether a message is from Amazon SNS: signature versions 1 and 2, certificates from the topic's own SNS host only.

Cheap checks come first; a certificate is fetched only for an accepted topic.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from typing import Any

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from api.feedback import sns_addresses
from api.feedback.sns_addresses import Address
from api.feedback.sns_certificates import Certificates
from api.feedback.sns_certificates import CertificateUnavailableError as CertificateUnavailableError
from api.feedback.sns_certificates import ForgedError as ForgedError

_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_HASHES: Mapping[str, type[hashes.HashAlgorithm]] = {"1": hashes.SHA1, "2": hashes.SHA256}
_CONFIRMED_WITHIN = 5.0
"""Timeout for confirming a subscription, in seconds."""


def string_to_sign(message: Mapping[str, Any]) -> bytes:
    """The text that SNS signs: the fields of the message type in order of name, a line for each name and each value.

    Raises:
        ForgedError: if the type is unknown or a field is missing.
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
    """Verifies messages. It fetches each certificate once, from the SNS host of the topic's region or the sandbox.

    Args:
        client: fetches certificates and confirms subscriptions. It must not follow redirects.
        sandbox: base address of a stand-in for SNS, trusted like Amazon's hosts.
        topics: ARNs of accepted topics; empty means all.
    """

    def __init__(self, client: httpx.AsyncClient, sandbox: str | None, topics: tuple[str, ...] = ()) -> None:
        self._client, self._topics = client, topics
        trusted = sns_addresses.read(sandbox) if sandbox else None
        self._sandbox = trusted.origin if trusted else None
        self._certificates = Certificates(client)

    def knows(self, message: Mapping[str, Any]) -> bool:
        """Whether the message can be verified without fetching anything."""
        address = sns_addresses.read(message.get("SigningCertURL"))
        return address is None or self._certificates.known(address) is not None

    async def verify(self, message: Mapping[str, Any]) -> None:
        """Return if the message is from SNS.

        Raises:
            ForgedError: if it is not.
            CertificateUnavailableError: if the certificate cannot be fetched now.
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
        address = self._pinned(message, "SigningCertURL")
        if address is None or not (address.origin == self._sandbox or sns_addresses.names_certificate(address)):
            raise ForgedError("the certificate is not on the topic's SNS host")
        key = await self._certificates.key(address)
        try:
            key.verify(signature, signed, padding.PKCS1v15(), algorithm())
        except InvalidSignature:
            raise ForgedError("the signature does not match") from None

    async def confirm(self, message: Mapping[str, Any]) -> None:
        """Confirm a verified subscription by fetching its address, on the topic's SNS host only.

        Raises:
            ForgedError: if the address is on another host.
            CertificateUnavailableError: if the response is no success.
        """
        address = self._pinned(message, "SubscribeURL")
        if address is None:
            raise ForgedError("the subscription's address is not on the topic's SNS host")
        try:
            async with asyncio.timeout(_CONFIRMED_WITHIN):
                answer = await self._client.get(address.url, follow_redirects=False)
            answer.raise_for_status()
        except httpx.InvalidURL:
            raise ForgedError("the subscription's address cannot be read") from None
        except (httpx.HTTPError, TimeoutError) as error:
            raise CertificateUnavailableError(f"confirming the subscription: {type(error).__name__}") from None

    def _pinned(self, message: Mapping[str, Any], field: str) -> Address | None:
        """The address in that field, if it may be fetched for the message's topic."""
        address = sns_addresses.read(message.get(field))
        if address is None:
            return None
        if address.origin == self._sandbox or sns_addresses.of_amazon(address, message.get("TopicArn")):
            return address
        return None
