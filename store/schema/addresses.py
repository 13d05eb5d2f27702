"""The canonical spelling of an address, and the hash that suppressions store."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from contextlib import suppress

from store.engine.hash_secret import KEYED, current_secret
from store.schema.rows import Channel
from tracks.contacts.contact_fields import domain_form


def normalise(channel: Channel, address: str) -> str:
    """The canonical spelling under which an address is suppressed.

    Email: Unicode NFC, case folded, with the domain in ASCII as mail systems use it. Subaddresses and dots stay,
    because they are different mailboxes. SMS: a leading + and digits only.
    """
    text = unicodedata.normalize("NFC", address).strip()
    if channel == "sms":
        digits = re.sub(r"\D", "", text.removeprefix("tel:"))
        return "+" + (digits[2:] if digits.startswith("00") else digits)
    local, at, domain = text.rpartition("@")
    domain = domain.rstrip(".")
    with suppress(ValueError):  # an invalid domain is compared unchanged
        domain = domain_form(domain)
    return f"{local}{at}{domain}".casefold()


_INNER, _OUTER = (f"current_setting('perennial.address_{half}', true)" for half in ("inner", "outer"))
HASH = f"""
    CASE WHEN coalesce(CASE WHEN CAST(:channel AS text) = 'email' THEN c.email ELSE c.phone END, '') = '' THEN ''
        ELSE (SELECT CASE WHEN {_INNER} = '' THEN p.plain
                ELSE {KEYED.format(plain="p.plain", inner=_INNER, outer=_OUTER)} END
            FROM (SELECT encode(sha256(convert_to(:channel || ':' || CASE
                WHEN :channel = 'email' AND c.email COLLATE "C" ~ '^[!-~]+$' THEN lower(rtrim(c.email, '.') COLLATE "C")
                WHEN :channel <> 'email' AND c.phone COLLATE "C" ~ '^[+][1-9][0-9]*$' THEN c.phone
            END, 'UTF8')), 'hex') AS plain) p)
    END
"""
"""SQL for the `address_hash` of a contact `c` on `:channel`; empty if there is no address. NULL if only `normalise` can
compute it: for addresses with characters other than ASCII, and phone numbers that are not in E.164 form.
"""


def address_hash(channel: Channel, address: str) -> str:
    """The hash of the normalised address. It keeps a person's suppression after the person's data are deleted."""
    plain = hashlib.sha256(f"{channel}:{normalise(channel, address)}".encode()).hexdigest()
    return current_secret().keyed(plain)
