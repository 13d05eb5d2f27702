"""Signed tokens for the links in a message: a token identifies the message, and cannot be forged.

A token holds the message's id, the number of the link (for clicks only) and a signature; no personal data. It is valid
as long as the message's row exists. A signature for one purpose is not valid for another.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from hashlib import sha256
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

_UNSUBSCRIBE = b"perennial unsubscribe 1:"
_CLICK = b"perennial click 1:"
_OPEN = b"perennial open 1:"
_CONFIRM = b"perennial confirm 1:"
_HANDOFF = b"perennial handoff 1:"
_ID_BYTES = 16
_NUMBER_BYTES = 2
_MAC_BYTES = 12
_SHORT_MAC_BYTES = 9  # 72 bits; a text message pays for every character of its links

DECOY = 0
"""The number of the hidden link, which no person can see; the visible links of a message count from 1."""
MAX_NUMBER = 2 ** (8 * _NUMBER_BYTES) - 1
TRACKED_LENGTH = 39
"""Characters of a tracked link beyond the public address: `/c/` and a token of 36."""


def sign(secret: str, message_id: str) -> str:
    """The unsubscribe token for a message: 38 characters that fit a URL.

    Args:
        secret: the project's secret.
        message_id: the message's UUID.

    Raises:
        ValueError: the id is no UUID.
    """
    return _seal(secret, _UNSUBSCRIBE, UUID(message_id).bytes, _MAC_BYTES)


def verify(secret: str, token: str) -> str | None:
    """The message id in an unsubscribe token, or None if the token was not made with this secret."""
    body = _unseal(secret, _UNSUBSCRIBE, token, _ID_BYTES, _MAC_BYTES)
    return None if body is None else str(UUID(bytes=body))


def unsubscribe_url(public_url: str, secret: str, message_id: str) -> str:
    """The unsubscribe address of a message: a page for people, one-click for mail programs (RFC 8058)."""
    return f"{public_url.rstrip('/')}/u/{sign(secret, message_id)}"


def click_url(public_url: str, secret: str, message_id: str, number: int) -> str:
    """The address that records a click on the link with this number and redirects to the link's target.

    Raises ValueError if the id is no UUID, OverflowError if the number is out of range.
    """
    body = UUID(message_id).bytes + number.to_bytes(_NUMBER_BYTES, "big")
    return f"{public_url.rstrip('/')}/c/{_seal(secret, _CLICK, body, _SHORT_MAC_BYTES)}"


def verify_click(secret: str, token: str) -> tuple[str, int] | None:
    """The message id and the link number in a click token, or None if the token was not made with this secret."""
    body = _unseal(secret, _CLICK, token, _ID_BYTES + _NUMBER_BYTES, _SHORT_MAC_BYTES)
    return None if body is None else (str(UUID(bytes=body[:_ID_BYTES])), int.from_bytes(body[_ID_BYTES:], "big"))


def open_url(public_url: str, secret: str, message_id: str) -> str:
    """The address of the picture that records an open of the message. Raises ValueError if the id is no UUID."""
    return f"{public_url.rstrip('/')}/o/{_seal(secret, _OPEN, UUID(message_id).bytes, _SHORT_MAC_BYTES)}"


def verify_open(secret: str, token: str) -> str | None:
    """The message id in an open token, or None if the token was not made with this secret."""
    body = _unseal(secret, _OPEN, token, _ID_BYTES, _SHORT_MAC_BYTES)
    return None if body is None else str(UUID(bytes=body))


def confirm_url(public_url: str, secret: str, message_id: str) -> str:
    """The address where the contact confirms the message's topic. Raises ValueError if the id is no UUID."""
    return f"{public_url.rstrip('/')}/confirm/{_seal(secret, _CONFIRM, UUID(message_id).bytes, _MAC_BYTES)}"


def verify_confirm(secret: str, token: str) -> str | None:
    """The message id in a confirmation token, or None if the token was not made with this secret."""
    body = _unseal(secret, _CONFIRM, token, _ID_BYTES, _MAC_BYTES)
    return None if body is None else str(UUID(bytes=body))


def handoff_url(public_url: str, secret: str, handoff_id: str) -> str:
    """The address where a salesperson answers a handoff. Raises ValueError if the id is no UUID."""
    return f"{public_url.rstrip('/')}/handoff/{_seal(secret, _HANDOFF, UUID(handoff_id).bytes, _MAC_BYTES)}"


def verify_handoff(secret: str, token: str) -> str | None:
    """The handoff's id in a token of its link, or None if the token was not made with this secret."""
    body = _unseal(secret, _HANDOFF, token, _ID_BYTES, _MAC_BYTES)
    return None if body is None else str(UUID(bytes=body))


def _seal(secret: str, purpose: bytes, body: bytes, mac_bytes: int) -> str:
    return urlsafe_b64encode(body + _mac(secret, purpose, body, mac_bytes)).rstrip(b"=").decode()


def _unseal(secret: str, purpose: bytes, token: str, body_bytes: int, mac_bytes: int) -> bytes | None:
    try:
        raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (Base64Error, ValueError):
        return None
    body = raw[:body_bytes]
    if len(raw) != body_bytes + mac_bytes:
        return None
    return body if hmac.compare_digest(raw[body_bytes:], _mac(secret, purpose, body, mac_bytes)) else None


def _mac(secret: str, purpose: bytes, body: bytes, length: int) -> bytes:
    return hmac.digest(secret.encode(), purpose + body, sha256)[:length]


def without_query(url: str) -> str:
    """The address without the parts that are often personal: user, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))[:2000]
