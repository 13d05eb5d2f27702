"""One spelling per address, and the hash that a suppression keeps of it."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from store.rows import Channel


def normalise(channel: Channel, address: str) -> str:
    """The one spelling under which an address is suppressed.

    Email: Unicode NFC, case folded, domain in its ASCII form; subaddresses and dots stay, because they are
    other mailboxes. SMS: a leading + and digits only.
    """
    text = unicodedata.normalize("NFC", address).strip()
    if channel == "sms":
        digits = re.sub(r"\D", "", text.removeprefix("tel:"))
        return "+" + (digits[2:] if digits.startswith("00") else digits)
    local, at, domain = text.rpartition("@")
    domain = domain.rstrip(".")
    try:
        domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        pass  # not a domain: compared as it stands
    return f"{local}{at}{domain}".casefold()


def address_hash(channel: Channel, address: str) -> str:
    """SHA-256 of the normalised address: it keeps protecting a person whose data are gone."""
    return hashlib.sha256(f"{channel}:{normalise(channel, address)}".encode()).hexdigest()
