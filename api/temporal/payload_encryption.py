"""Encrypt the payloads that Temporal stores: AES-256-GCM with keys from the environment.

Event properties that a track's branches read are in the histories of runs, which a service such as Temporal Cloud may
store. Every process has the same keys. The first key encrypts, every key decrypts, and unencrypted payloads are read
as they are.
https://docs.temporal.io/payload-codec
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

ENCODING = b"binary/encrypted"
_NONCE = 12


class PayloadKeyError(RuntimeError):
    """A payload was encrypted with a key that this process does not have."""


class AesGcmCodec(PayloadCodec):
    """Encrypts with the first key and decrypts with any key.

    Raises:
        ValueError: if a key is not 32 bytes as base64.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._known: dict[bytes, AESGCM] = {}
        for key in keys:
            raw = _read(key)
            self._known[hashlib.sha256(raw).hexdigest()[:16].encode()] = AESGCM(raw)
        self._name = next(iter(self._known))

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt each payload together with its metadata."""
        return [self._encrypted(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt the encrypted payloads. Raises `PayloadKeyError`."""
        return [self._decrypted(payload) for payload in payloads]

    def _encrypted(self, payload: Payload) -> Payload:
        nonce = os.urandom(_NONCE)
        data = nonce + self._known[self._name].encrypt(nonce, payload.SerializeToString(), self._name)
        return Payload(metadata={"encoding": ENCODING, "encryption-key-id": self._name}, data=data)

    def _decrypted(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        name = payload.metadata.get("encryption-key-id", b"")
        key = self._known.get(name)
        if key is None:
            raise PayloadKeyError("encrypted with a key that is not among PERENNIAL_PAYLOAD_KEYS")
        try:
            plain = key.decrypt(payload.data[:_NONCE], payload.data[_NONCE:], name)
        except InvalidTag:
            raise PayloadKeyError("a payload is not what was encrypted") from None
        return Payload.FromString(plain)


def _read(key: str) -> bytes:
    try:
        raw = base64.b64decode(key, validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != 32:
        raise ValueError("PERENNIAL_PAYLOAD_KEYS: a key is 32 bytes in base64, as `openssl rand -base64 32` makes it")
    return raw
