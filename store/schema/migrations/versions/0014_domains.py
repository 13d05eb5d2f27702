"""Hashes of addresses are made with the domain as mail goes to it, by IDNA 2008; they were made by IDNA 2003.

The two differ where a domain has a sharp s, a final sigma, joiners or letters newer than Unicode 3.2. There each
known contact's address keeps its suppression under the new hash too, and their messages know it. The old one stays: it
may be that of another domain. Of people who were erased only the old hash is left, and nobody can tell their domain.

Revision ID: 0014
Revises: 0010
"""

from __future__ import annotations

import hashlib
import unicodedata

from alembic import context, op
from sqlalchemy import Connection, text

from store.engine.hash_secret import Secret
from store.schema.addresses import normalise
from store.schema.suppression_reasons import HARSHEST_FIRST

revision = "0014"
down_revision = "0010"
branch_labels = None
depends_on = None

_CONTACTS = text("SELECT id, email FROM contact WHERE email COLLATE \"C\" ~ '[^ -~]'")
_SUPPRESS = text("""
    INSERT INTO suppression AS s (channel, address_hash, reason, at)
    SELECT channel, :new, reason, at FROM suppression WHERE channel = 'email' AND address_hash = :old
    ON CONFLICT (channel, address_hash) DO UPDATE SET reason = excluded.reason, at = excluded.at
    WHERE array_position(CAST(:harshest AS text[]), excluded.reason)
        < array_position(CAST(:harshest AS text[]), s.reason)
""")
_MESSAGES = text("UPDATE message SET address_hash = :new WHERE contact_id = :id AND address_hash = :old")


def by_idna_2003(address: str) -> str:
    """The spelling that was hashed before."""
    local, at, domain = unicodedata.normalize("NFC", address).strip().rpartition("@")
    domain = domain.rstrip(".")
    try:
        domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        pass
    return f"{local}{at}{domain}".casefold()


def respell(connection: Connection, secret: Secret) -> None:
    """Write what is known of contacts' addresses under the new hash.

    Raises:
        ValueError: the hashes are made with another secret, so nothing would be found.
    """
    kept = connection.execute(text("SELECT fingerprint FROM address_secret WHERE sole")).scalar()
    if kept not in (None, secret.fingerprint):
        raise ValueError("PERENNIAL_ADDRESS_SECRET is not the one that the database's hashes are made with")
    for contact_id, email in connection.execute(_CONTACTS).all():
        before, now = by_idna_2003(email), normalise("email", email)
        if before == now:
            continue
        old, new = (hashlib.sha256(f"email:{one}".encode()).hexdigest() for one in (before, now))
        for one, other in {(old, new), (secret.keyed(old), secret.keyed(new))}:  # sealed already, or not yet
            values = {"id": contact_id, "old": one, "new": other, "harshest": list(HARSHEST_FIRST)}
            connection.execute(_SUPPRESS, values)
            connection.execute(_MESSAGES, values)


def upgrade() -> None:
    """Write what is known of contacts' addresses under the new hash."""
    respell(op.get_bind(), context.config.attributes["address_secret"])


def downgrade() -> None:
    """Not offered: a backup goes back, a migration only forward."""
    raise NotImplementedError("migrations only go forward")
