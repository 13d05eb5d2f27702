"""Addresses that must not be sent to. Only hashes are stored, so they remain after a contact is erased."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.hash_secret import FINGERPRINT, demand
from store.engine.sql import any_of, many, utc_now
from store.schema.addresses import address_hash
from store.schema.rows import Channel
from store.schema.suppression_reasons import ENDED_BY_CONSENT, HARSHEST_FIRST, Reason


@dataclass(frozen=True, slots=True)
class Suppression:
    """Why an address is suppressed, and since when."""

    channel: Channel
    reason: Reason
    at: datetime
    address_hash: str


async def add(tx: AsyncConnection, channel: Channel, address: str, reason: str, at: datetime | None = None) -> bool:
    """Suppress an address; returns whether it is new, or has a harsher reason than before.

    The harshest reason is kept with its time; for the same reason, the latest time. Raises ValueError if the reason is
    no `Reason`.
    """
    return await add_many(tx, [(channel, address)], reason, at) > 0


async def add_many(
    tx: AsyncConnection, addresses: Iterable[tuple[Channel, str]], reason: str, at: datetime | None = None
) -> int:
    """Suppress addresses; returns how many are new, or have a harsher reason than before. Raises as `add` does."""
    hashed = ((channel, address_hash(channel, address)) for channel, address in addresses)
    return await add_hashed(tx, hashed, reason, at)


async def add_hashed(
    tx: AsyncConnection, addresses: Iterable[tuple[Channel, str]], reason: str, at: datetime | None = None
) -> int:
    """`add_many` for addresses of which only the hash is known."""
    hashes = sorted(set(addresses))  # a fixed order prevents deadlocks
    milder = HARSHEST_FIRST[HARSHEST_FIRST.index(cast(Reason, reason)) + 1 :]
    values = {
        "channel": [channel for channel, _ in hashes],
        "hash": [hashed for _, hashed in hashes],
        "reason": reason,
        "at": at or utc_now(),
        "milder": list(milder),
    }
    rows = (await tx.execute(_ADD, values)).all() if hashes else []
    for row in rows[:1]:
        demand(row.secret)
    return sum(row.raised for row in rows)


async def remove(tx: AsyncConnection, channel: Channel, address: str, *, only: Reason | None = None) -> bool:
    """Allow an address again; with `only`, only if that is the reason. Returns whether anything changed.

    START by SMS ends `stop` only; an operator may end any suppression.
    """
    return await _remove(tx, channel, address_hash(channel, address), None if only is None else [only], None)


async def end_by_consent(tx: AsyncConnection, channel: Channel, hashed: str, at: datetime) -> bool:
    """End a suppression after the contact's explicit consent at that time, if it is older and its reason is an
    unsubscribe or an erasure."""
    return await _remove(tx, channel, hashed, list(ENDED_BY_CONSENT), at)


async def find(tx: AsyncConnection, channel: Channel, address: str) -> Suppression | None:
    """The suppression of an address, in any spelling."""
    return await find_hashed(tx, channel, address_hash(channel, address))


async def find_hashed(tx: AsyncConnection, channel: Channel, hashed: str) -> Suppression | None:
    """As `find`, for an address of which only the hash is known."""
    row = (await tx.execute(_FIND, {"channel": channel, "hash": hashed})).first()
    return Suppression(*row) if row else None


async def page(
    tx: AsyncConnection,
    *,
    channel: Channel | None = None,
    reason: Reason | None = None,
    address_hash: str | None = None,
    after: tuple[str, str] | None = None,
    limit: int = 50,
) -> list[Suppression]:
    """Suppressions by channel and hash, those after the given channel and hash."""
    last_channel, last_hash = after or ("", "")
    values = {
        "channel": channel,
        "reason": reason,
        "hash": address_hash,
        "last_channel": last_channel,
        "last_hash": last_hash,
        "limit": limit,
    }
    return [Suppression(*row) for row in await tx.execute(_PAGE, values)]


async def _remove(
    tx: AsyncConnection, channel: Channel, hashed: str, reasons: list[Reason] | None, before: datetime | None
) -> bool:
    values = {"channel": channel, "hash": hashed, "reasons": reasons, "before": before}
    return (await tx.execute(_REMOVE, values)).rowcount > 0


_COLUMNS = "channel, reason, at, address_hash"
_INPUT = many("i", channel="text", hash="text")
_ADD = text(f"""
    WITH known AS (
        SELECT k.channel, k.address_hash, k.reason FROM {_INPUT}
        JOIN suppression k ON k.channel = i.channel AND k.address_hash = i.hash
    ),
    written AS (
        INSERT INTO suppression AS s (channel, address_hash, reason, at)
        SELECT i.channel, i.hash, :reason, :at FROM {_INPUT} ORDER BY i.ord
        ON CONFLICT (channel, address_hash) DO UPDATE SET reason = excluded.reason, at = excluded.at
        WHERE s.reason = {any_of("milder")} OR (s.reason = excluded.reason AND s.at < excluded.at)
        RETURNING channel, address_hash, reason
    )
    SELECT w.reason IS DISTINCT FROM k.reason AS raised, {FINGERPRINT} AS secret FROM written w
    LEFT JOIN known k ON k.channel = w.channel AND k.address_hash = w.address_hash
""")
_REMOVE = text(f"""
    DELETE FROM suppression WHERE channel = :channel AND address_hash = :hash
        AND (CAST(:reasons AS text[]) IS NULL OR reason = {any_of("reasons")})
        AND (CAST(:before AS timestamptz) IS NULL OR at < :before)
""")
_FIND = text(f"SELECT {_COLUMNS} FROM suppression WHERE channel = :channel AND address_hash = :hash")
_PAGE = text(f"""
    SELECT {_COLUMNS} FROM suppression
    WHERE (channel, address_hash) > (:last_channel, :last_hash)
        AND (CAST(:channel AS text) IS NULL OR channel = :channel)
        AND (CAST(:reason AS text) IS NULL OR reason = :reason)
        AND (CAST(:hash AS text) IS NULL OR address_hash = :hash)
    ORDER BY channel, address_hash LIMIT :limit
""")
