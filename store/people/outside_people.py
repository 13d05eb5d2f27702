"""Which contact somebody is whom another system (Stripe, HubSpot) knows, and how long its events wait for one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import any_of
from store.people.consents import suppressions
from store.schema.addresses import address_hash
from store.schema.merged_ids import survivor_of

KEPT = timedelta(days=30)
"""How long events wait for their contact, and how long somebody of whom nothing more is said is known."""
MOST = 100_000
"""How many events of one system wait at most. Above that the oldest are given up."""


async def find(tx: AsyncConnection, ids: Sequence[str | None], email: str | None = None) -> str | None:
    """The first of these contacts that exists: by these ids in order, then by the address; None if there is none.

    An id that was merged into another stands for that one, and an address that a merged contact had for the survivor.
    """
    named = [one for one in ids if one is not None]
    found = None
    if named:
        found = (await tx.execute(_BY_ID, {"ids": named})).scalar()
    if found is None and email is not None:
        known_by = {"email": email, "hash": address_hash("email", email)}
        found = (await tx.execute(_BY_EMAIL, known_by)).scalar()
    return None if found is None else str(found)


async def is_erased(tx: AsyncConnection, ids: Sequence[str | None], email: str | None) -> bool:
    """Whether this is a person who was erased: by the contact's id, or by an address suppressed as `erased`."""
    named = [one for one in ids if one is not None]
    if named and (await tx.execute(_ERASED, {"ids": named})).first() is not None:
        return True
    found = await suppressions.find(tx, "email", email) if email else None
    return found is not None and found.reason == "erased"


def matched_by_now(table: str, key: str, *names: str) -> str:
    """SQL for those of `table` without a contact whose contact exists by now: `key` of at most `:limit` of them.

    `names` are the columns with a contact's id as the other system says it, which may have been merged; `email` has the
    address. Statements like this one are made here only, so that no system forgets merged ids.
    """
    by_name = "".join(
        f"""
        SELECT u.{key} FROM unmatched u JOIN contact c ON c.id = u.{name}
        UNION
        SELECT u.{key} FROM unmatched u JOIN merged_id g ON g.id = u.{name}
        UNION"""
        for name in names
    )
    return f"""
        WITH unmatched AS (
            SELECT {", ".join((key, *names))}, lower(email) AS email FROM {table} WHERE contact_id IS NULL
        ){by_name}
        SELECT u.{key} FROM unmatched u JOIN contact c ON c.email IS NOT NULL AND lower(c.email) = u.email
        ORDER BY 1 LIMIT :limit
    """


def newest(column: str, at: str, only: str = "true") -> str:
    """SQL for an upsert of a table with the alias `c`: set a column to the value that was said last, and `at` to when.

    Of two values of the same time, the greater text counts. `only` is a condition under which the column is set at all.
    """
    newer = f"{only} AND excluded.{column} IS NOT NULL AND (c.{column} IS NULL OR (excluded.{at}, excluded.{column}) > "
    newer += f"(c.{at}, c.{column}))"
    return (
        f"{column} = CASE WHEN {newer} THEN excluded.{column} ELSE c.{column} END, "
        f"{at} = CASE WHEN {newer} THEN excluded.{at} ELSE c.{at} END"
    )


_BY_ID = text(f"""
    SELECT c.id FROM unnest(CAST(:ids AS text[])) WITH ORDINALITY AS i (id, ord)
    JOIN contact c ON c.id = {survivor_of("i.id")} ORDER BY i.ord LIMIT 1
""")
# Of several contacts with the address, the one who has been there longest: it stays the same.
_BY_EMAIL = text("""
    (SELECT id FROM contact WHERE email IS NOT NULL AND lower(email) = lower(CAST(:email AS text))
     ORDER BY created_at, id LIMIT 1)
    UNION ALL
    (SELECT c.id FROM former_address f JOIN contact c ON c.id = f.contact_id
     WHERE f.address_hash = :hash AND f.channel = 'email' ORDER BY c.created_at, c.id LIMIT 1)
    LIMIT 1
""")
_ERASED = text(f"""
    SELECT 1 FROM erasure x WHERE x.contact_id = {any_of("ids")}
        AND NOT EXISTS (SELECT FROM contact c WHERE c.id = x.contact_id)
""")
