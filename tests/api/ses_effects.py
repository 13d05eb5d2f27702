"""The effects of an SES event: suppressions, stored events and metrics."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from sqlalchemy import text

from store.engine.database import Database
from store.people.consents import suppressions
from tests.api.messages import EMAIL, another_day, rows
from tests.api.ses_payloads import SES_ID


async def suppressed(db: Database, address: str = EMAIL) -> str | None:
    """Why the address is suppressed."""
    async with db.transaction() as tx:
        found = await suppressions.find(tx, "email", address)
    return found.reason if found else None


def refused(app: FastAPI, reason: str) -> float:
    """How often an SES event was rejected for this reason."""
    found = app.state.context.metrics.registry.get_sample_value(
        "perennial_rejected_total", {"source": "ses", "reason": reason}
    )
    return float(found or 0)


async def told(db: Database) -> list[tuple[object, ...]]:
    """The names of the contact's events with their own properties."""
    return await rows(
        db,
        "SELECT name, properties - ARRAY['message_id', 'track', 'step', 'enrollment_id'] FROM event "
        "ORDER BY received_at",
    )


async def own_id(db: Database, sent: str, record: dict[str, Any]) -> None:
    """Give the message an id of its own at SES."""
    record["mail"]["messageId"] = f"ses-{sent}"
    async with db.transaction() as tx:
        await tx.execute(
            text("UPDATE message SET provider_id = :own WHERE id = :id AND provider_id = :all"),
            {"id": sent, "own": f"ses-{sent}", "all": SES_ID},
        )


async def forget(db: Database) -> None:
    """Delete suppressions and events, for the next message to the same address."""
    async with db.transaction() as tx:
        await tx.execute(text("DELETE FROM suppression"))
        await tx.execute(text("DELETE FROM event"))
    await another_day(db)
