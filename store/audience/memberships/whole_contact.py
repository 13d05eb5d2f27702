"""Evaluate everything of contacts anew: for whatever changes their facts in another way than by an event or a field."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from store.audience.memberships.memberships import Touch, Updated, update


async def evaluate_anew(tx: AsyncConnection, contact_ids: Iterable[str], now: datetime) -> Updated:
    """Bring all memberships and scores of these contacts up to date, from the facts as they are stored now.

    The contacts are locked, in the order of their ids. The caller tells the changes:
    `store.runs.events.events.tell_changes`.
    """
    return await update(tx, {contact_id: Touch(created=True) for contact_id in contact_ids}, now)
