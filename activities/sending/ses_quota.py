"""Keeping within what SES allows the account: so much a second, so much in 24 hours.

The email queue's rate becomes a part of the account's, unless an operator has set one. When the 24 hours are
nearly used up, or Amazon has paused the account, everything but transactional email is held until there is room.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.client import Client
from temporalio.service import RPCError

from activities import contract
from activities.providers.ports import SendingQuota
from activities.sending import queue_rates
from store.sending import breakers

SHARE_OF_RATE = 0.8
"""Of the account's rate: the server's limiter lets more than its rate through in the first second of a burst."""
RESERVE = 0.02
"""Of the 24 hours' quota: left to transactional email."""
ENOUGH = 0.03
"""Of the 24 hours' quota, beyond the reserve: when as much is free again, sending goes on."""
SOONEST, LATEST = timedelta(seconds=10), timedelta(minutes=5)
"""Between two looks; sooner, the sooner the quota could be used up."""
TRUSTED_FOR = 4 * LATEST
"""A hold that nobody renews ends: SES says itself if it takes no more."""
REASON = "SES account rate"
"""What the queue's rate says when it is ours, which tells it from an operator's."""
SCOPE = breakers.account("email")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Room:
    """What an account has left: why nothing may go now, if so, and whether enough is free to go on."""

    refusal: str
    enough: bool
    left: float
    """Emails that may go before the reserve is touched; infinite where the account is not limited."""


def room(quota: SendingQuota) -> Room:
    """Judge a quota."""
    if not quota.enabled:
        return Room(f"Amazon has paused sending ({quota.enforcement})", False, 0)
    if quota.per_day is None:
        return Room("", True, float("inf"))
    left = quota.per_day * (1 - RESERVE) - quota.sent
    if left <= 0:
        return Room(f"{quota.sent:.0f} of {quota.per_day:.0f} emails in 24 hours", False, 0)
    return Room("", left >= quota.per_day * ENOUGH, left)


def next_look(quota: SendingQuota) -> timedelta:
    """How long until the quota could be used up, at the full rate; within bounds."""
    seconds = room(quota).left / max(quota.per_second, 0.001)
    return max(SOONEST, min(LATEST, timedelta(seconds=min(seconds, LATEST.total_seconds()))))


async def hold_or_resume(tx: AsyncConnection, quota: SendingQuota, now: datetime) -> None:
    """Open or resume the account's breaker as the quota says; one open for another cause stays as it is."""
    judged = room(quota)
    if judged.refusal:
        figures: Mapping[str, Any] = {"sent": quota.sent, "per_day": quota.per_day}
        if await breakers.trip(
            tx, SCOPE, "provider", judged.refusal, figures=figures, until=now + TRUSTED_FOR, now=now
        ):
            log.error("breaker opened", scope=SCOPE, cause="provider", reason=judged.refusal)
    elif judged.enough:
        rate = max(quota.per_second * SHARE_OF_RATE, 0.1)
        if await breakers.resume(tx, SCOPE, per_second=rate, only="provider", now=now):
            log.warning("breaker resumes", scope=SCOPE, cause="provider")


async def limit_queue(client: Client, quota: SendingQuota) -> None:
    """Set the email queue's rate from the account's, unless it has one that is not from here."""
    wanted = round(quota.per_second * SHARE_OF_RATE, 3)
    if wanted <= 0:
        return
    try:
        found = await queue_rates.read(client, contract.QUEUE_EMAIL)
        if found.set_here is not None and (found.reason != REASON or abs(found.set_here - wanted) < 0.01 * wanted):
            return
        await queue_rates.write(client, contract.QUEUE_EMAIL, wanted, REASON)
    except RPCError as error:  # a server older than run-time rates
        log.warning("queue rate not set", queue=contract.QUEUE_EMAIL, error=error.status.name)
    else:
        log.info("queue rate set", queue=contract.QUEUE_EMAIL, per_second=wanted)
