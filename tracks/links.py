"""Signed tokens for the links that a message carries: they name the message, and nobody else can make one."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from hashlib import sha256
from uuid import UUID

_PURPOSE = b"perennial unsubscribe 1:"  # a signature made for one purpose is worth nothing for another
_MAC_BYTES = 12
_TOKEN_BYTES = 16 + _MAC_BYTES


def sign(secret: str, message_id: str) -> str:
    """The token for a message: 38 characters that fit a URL.

    Args:
        secret: the project's secret.
        message_id: the message's UUID.

    Raises:
        ValueError: the id is no UUID.
    """
    identity = UUID(message_id).bytes
    return urlsafe_b64encode(identity + _mac(secret, identity)).rstrip(b"=").decode()


def verify(secret: str, token: str) -> str | None:
    """The message's id that a token names, or None if the token was not made with this secret."""
    try:
        raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (Base64Error, ValueError):
        return None
    if len(raw) != _TOKEN_BYTES or not hmac.compare_digest(raw[16:], _mac(secret, raw[:16])):
        return None
    return str(UUID(bytes=raw[:16]))


def unsubscribe_url(public_url: str, secret: str, message_id: str) -> str:
    """The address of a message's way out: a page to people, one click to mail programs (RFC 8058)."""
    return f"{public_url.rstrip('/')}/u/{sign(secret, message_id)}"


def confirm_url(public_url: str, secret: str, message_id: str) -> str:
    """The address of a page on which the contact confirms what the message is about (double opt-in)."""
    identity = UUID(message_id).bytes
    token = urlsafe_b64encode(identity + _confirm_mac(secret, identity)).rstrip(b"=").decode()
    return f"{public_url.rstrip('/')}/confirm/{token}"


def verify_confirm(secret: str, token: str) -> str | None:
    """The message's id that a confirmation token names, or None if the token was not made with this secret."""
    try:
        raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (Base64Error, ValueError):
        return None
    if len(raw) != 28 or not hmac.compare_digest(raw[16:], _confirm_mac(secret, raw[:16])):
        return None
    return str(UUID(bytes=raw[:16]))


def _confirm_mac(secret: str, identity: bytes) -> bytes:
    return hmac.digest(secret.encode(), b"perennial confirm 1:" + identity, sha256)[:12]


def _mac(secret: str, identity: bytes) -> bytes:
    return hmac.digest(secret.encode(), _PURPOSE + identity, sha256)[:_MAC_BYTES]
