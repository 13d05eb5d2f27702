"""Hash addresses with their domain in IDNA 2008, as mail is sent to it; before, it was IDNA 2003.

The two differ for domains with a sharp s, a final sigma, joiners, or letters newer than Unicode 3.2. For the address of
each existing contact, the suppression is copied to the new hash, and messages get the new hash. The old suppression
stays, because its hash may be that of another domain. For erased people only the old hash exists, so it stays as it is.

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
    """The spelling that was hashed before this migration."""
    local, at, domain = unicodedata.normalize("NFC", address).strip().rpartition("@")
    domain = domain.rstrip(".")
    try:
        domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        pass
    return f"{local}{at}{domain}".casefold()


def respell(connection: Connection, secret: Secret) -> None:
    """Copy suppressions of the contacts' addresses to the new hashes, and update their messages.

    Raises:
        ValueError: the hashes are made with another secret, so the old ones could not be found.
    """
    kept = connection.execute(text("SELECT fingerprint FROM address_secret WHERE sole")).scalar()
    if kept not in (None, secret.fingerprint):
        raise ValueError("PERENNIAL_ADDRESS_SECRET is not the one that the database's hashes are made with")
    for contact_id, email in connection.execute(_CONTACTS).all():
        before, now = by_idna_2003(email), normalise("email", email)
        if before == now:
            continue
        old, new = (hashlib.sha256(f"email:{one}".encode()).hexdigest() for one in (before, now))
        for one, other in {(old, new), (secret.keyed(old), secret.keyed(new))}:  # plain hashes, or keyed ones
            values = {"id": contact_id, "old": one, "new": other, "harshest": list(HARSHEST_FIRST)}
            connection.execute(_SUPPRESS, values)
            connection.execute(_MESSAGES, values)


def upgrade() -> None:
    """Copy suppressions of the contacts' addresses to the new hashes, and update their messages."""
    respell(op.get_bind(), context.config.attributes["address_secret"])


def downgrade() -> None:
    """Not supported: restore a backup to go back."""
    raise NotImplementedError("migrations only go forward")
