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


HASH = """
    CASE WHEN coalesce(CASE WHEN CAST(:channel AS text) = 'email' THEN c.email ELSE c.phone END, '') = '' THEN ''
        ELSE encode(sha256(convert_to(:channel || ':' || CASE
            WHEN :channel = 'email' AND c.email COLLATE "C" ~ '^[!-~]+$' THEN lower(rtrim(c.email, '.') COLLATE "C")
            WHEN :channel <> 'email' AND c.phone COLLATE "C" ~ '^[+][1-9][0-9]*$' THEN c.phone
        END, 'UTF8')), 'hex')
    END
"""
"""SQL for the `address_hash` of a contact `c` on `:channel`, empty where there is no address. NULL where only
`normalise` can tell: of addresses with other characters than ASCII's, and phone numbers that are not as E.164 has them.
"""


def address_hash(channel: Channel, address: str) -> str:
    """SHA-256 of the normalised address: it keeps protecting a person whose data are gone."""
    return hashlib.sha256(f"{channel}:{normalise(channel, address)}".encode()).hexdigest()
