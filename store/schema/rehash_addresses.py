"""Replace plain hashes of addresses, which can be guessed, with hashes that need the secret, permanently.

`PERENNIAL_ADDRESS_SECRET` takes effect when `perennial migrate` is called with it. From then on a process with no
secret or another one claims no message and suppresses no address, because it would look for hashes that do not exist.
Until the process has the right secret, messages wait and providers repeat their callbacks; no suppressed address is
sent to.
"""

from __future__ import annotations

from sqlalchemy import Engine, text

from store.engine.hash_secret import KEYED, Secret
from store.schema.suppression_reasons import HARSHEST_FIRST

_BATCH = 5_000


def seal(engine: Engine, secret: Secret) -> None:
    """Convert the database's hashes to this secret. A repeated call converts what is left.

    Raises:
        ValueError: the database has another secret, or has one and none is given.
    """
    with engine.begin() as connection:
        kept = connection.execute(_KEPT).scalar() or ""
        if kept not in ("", secret.fingerprint):
            raise ValueError(
                "PERENNIAL_ADDRESS_SECRET is not the one that this database's hashes of addresses are made with"
            )
        if not secret.fingerprint:
            return
        connection.execute(_KEEP, {"fingerprint": secret.fingerprint})
        connection.execute(_SUPPRESSIONS, {**secret.parts, "harshest": list(HARSHEST_FIRST)})
        connection.execute(_FORMER, secret.parts)
    after: str | None = ""
    while after is not None:
        with engine.begin() as connection:
            after = connection.execute(_MESSAGES, {**secret.parts, "after": after or None, "batch": _BATCH}).scalar()


_SEALED = KEYED.format(plain="{column}", inner=":inner", outer=":outer")
_KEPT = text("SELECT fingerprint FROM address_secret WHERE sole")
_KEEP = text("INSERT INTO address_secret (fingerprint) VALUES (:fingerprint) ON CONFLICT DO NOTHING")
_SUPPRESSIONS = text(f"""
    WITH plain AS (DELETE FROM suppression WHERE address_hash NOT LIKE 'k%' RETURNING *)
    INSERT INTO suppression AS s (channel, address_hash, reason, at)
    SELECT channel, {_SEALED.format(column="address_hash")}, reason, at FROM plain
    ON CONFLICT (channel, address_hash) DO UPDATE SET reason = excluded.reason, at = excluded.at
    WHERE array_position(CAST(:harshest AS text[]), excluded.reason)
        < array_position(CAST(:harshest AS text[]), s.reason)
""")
_FORMER = text(f"""
    UPDATE former_address SET address_hash = {_SEALED.format(column="address_hash")} WHERE address_hash NOT LIKE 'k%'
""")
_MESSAGES = text(f"""
    WITH plain AS (
        SELECT id FROM message
        WHERE (CAST(:after AS uuid) IS NULL OR id > CAST(:after AS uuid))
            AND address_hash IS NOT NULL AND address_hash NOT LIKE 'k%'
        ORDER BY id LIMIT :batch
    ),
    written AS (
        UPDATE message m SET address_hash = {_SEALED.format(column="m.address_hash")} FROM plain
        WHERE m.id = plain.id AND m.address_hash NOT LIKE 'k%'
    )
    SELECT max(CAST(id AS text)) FROM plain
""")
