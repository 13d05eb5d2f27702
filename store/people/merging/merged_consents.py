"""The stricter of two contacts' consents, and of the suppressions of their addresses.

The statements of both are the survivor's from then on. Where the latest statement of both allows more than one of the
two contacts allowed, the merge itself is recorded as a statement that takes it back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.people.consents import consents, suppressions
from store.people.consents.consents import Change, Consent, Status
from store.schema.addresses import address_hash
from store.schema.rows import Channel, Contact
from store.schema.suppression_reasons import HARSHEST_FIRST, Reason

STRICTEST_FIRST: tuple[Status, ...] = ("withdrawn", "pending", "granted")
"""A topic about which only one of the two contacts has said anything has that contact's consent."""
CARRIED: tuple[Reason, ...] = ("complained", "manual", "stop", "unsubscribed")
"""Suppressions that are about the person: they hold for the survivor's address too. A bounce is about a mailbox."""
_CHANNELS: tuple[Channel, ...] = ("email", "sms")


async def of_both(tx: AsyncConnection, survivor: str, merged: str) -> dict[tuple[Channel, str], Status]:
    """The stricter status of each channel and topic, before anything is moved."""
    found: dict[tuple[Channel, str], Status] = {}
    for contact_id in (survivor, merged):
        for consent in await consents.current(tx, contact_id):
            key = (consent.channel, consent.topic)
            found[key] = min(found.get(key, consent.status), consent.status, key=STRICTEST_FIRST.index)
    return found


async def settle(
    tx: AsyncConnection,
    merge_id: str,
    survivor: str,
    merged: str,
    stricter: Mapping[tuple[Channel, str], Status],
    now: datetime,
) -> int:
    """Bring the survivor's consents to the stricter ones, after the statements were moved.

    Returns the id of the last statement that was stored before: later ones came since.
    """
    await tx.execute(_FORGET, {"id": merged})
    await consents.refresh(tx, survivor)
    held = {(one.channel, one.topic): one for one in await consents.current(tx, survivor)}
    said = [change for key, status in stricter.items() for change in _taking_back(held[key], status, merge_id, now)]
    if said:
        await consents.record(tx, survivor, said, now=now)
    return int((await tx.execute(_LAST)).scalar_one())


async def give_back(tx: AsyncConnection, merge_id: str, survivor: str, merged: str, last: int) -> None:
    """Compute both contacts' consents anew, after the statements were given back.

    What the merge itself said is deleted. A withdrawal that came since holds for both: it is not known whose it was.
    """
    await tx.execute(_UNSAY, {"id": survivor, "source": _source(merge_id)})
    await tx.execute(_BOTH, {"into": survivor, "from": merged, "last": last})
    for contact_id in (survivor, merged):
        await consents.refresh(tx, contact_id)


async def carry_suppressions(tx: AsyncConnection, survivor: Contact, merged: Contact) -> list[dict[str, Any]]:
    """Suppress the survivor's addresses for what the merged contact's were suppressed for; returns them."""
    carried = []
    for channel in _CHANNELS:
        own, other = survivor.address(channel), merged.address(channel)
        if not own or not other:
            continue
        hashed = address_hash(channel, own)
        found, before = await suppressions.find(tx, channel, other), await suppressions.find(tx, channel, own)
        if found is None or found.address_hash == hashed or found.reason not in CARRIED:
            continue
        if before is not None and _harshness(before.reason) <= _harshness(found.reason):
            continue
        await suppressions.add_hashed(tx, [(channel, hashed)], found.reason, found.at)
        former = {"reason": before.reason, "at": before.at.isoformat()} if before else None
        carried.append(
            {"channel": channel, "hash": hashed, "reason": found.reason, "at": found.at.isoformat(), "before": former}
        )
    return carried


async def take_back_suppressions(tx: AsyncConnection, carried: Sequence[Mapping[str, Any]]) -> None:
    """Take carried suppressions back that are unchanged since."""
    for one in carried:
        before = one["before"] or {"reason": None, "at": None}
        values = {name: one[name] for name in ("channel", "hash", "reason", "at")}
        await tx.execute(
            _TAKE_BACK if one["before"] is None else _REPLACE, values | {f"old_{n}": before[n] for n in before}
        )


def _taking_back(held: Consent, status: Status, merge_id: str, now: datetime) -> list[Change]:
    """The statements after which the consent has this status; none if it has it."""
    if held.status == status:
        return []
    at = max(now, held.at)
    said = [Change(held.channel, held.topic, "withdrawn", _source(merge_id), at=at)]
    if status == "pending":  # a new sign-up alone does not lose a confirmation
        said.append(Change(held.channel, held.topic, "pending", _source(merge_id), at=at + timedelta(microseconds=1)))
    return said


def _source(merge_id: str) -> str:
    return f"merge {merge_id}"


def _harshness(reason: str) -> int:
    return HARSHEST_FIRST.index(cast(Reason, reason))


_FORGET = text("DELETE FROM consent WHERE contact_id = :id")
_LAST = text("SELECT coalesce(max(id), 0) FROM consent_change")
_UNSAY = text("DELETE FROM consent_change WHERE contact_id = :id AND source = :source")
_BOTH = text("""
    INSERT INTO consent_change (contact_id, channel, topic, status, source, text_version, at)
    SELECT :from, channel, topic, status, source, text_version, at FROM consent_change
    WHERE contact_id = :into AND id > :last AND status = 'withdrawn' ORDER BY id
""")
_SAME = "channel = :channel AND address_hash = :hash AND reason = :reason AND at = CAST(:at AS timestamptz)"
_TAKE_BACK = text(f"DELETE FROM suppression WHERE {_SAME}")
_REPLACE = text(f"UPDATE suppression SET reason = :old_reason, at = CAST(:old_at AS timestamptz) WHERE {_SAME}")
