"""Keep within the quota that SES gives the account: emails per second, and emails in 24 hours.

The email queue's rate becomes a share of the account's rate, unless an operator has set one. When the quota of 24 hours
is nearly used up, or Amazon has paused the account, all email except transactional is held until there is room.
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
from store.sending.policy import breakers

SHARE_OF_RATE = 0.8
"""Share of the account's rate: in the first second of a burst the server's limiter exceeds its rate."""
RESERVE = 0.02
"""Share of the quota of 24 hours that is kept for transactional email."""
ENOUGH = 0.03
"""Share of the quota of 24 hours, beyond the reserve, that must be free again before sending resumes."""
SOONEST, LATEST = timedelta(seconds=10), timedelta(minutes=5)
"""The limits of the time between two reads; the sooner the quota could be used up, the sooner the next read."""
TRUSTED_FOR = 4 * LATEST
"""A hold that no worker renews ends after this time; if SES still accepts no more, its answers say so."""
REASON = "SES account rate"
"""The reason of a queue rate that was set here, which distinguishes it from an operator's rate."""
SCOPE = breakers.account("email")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class QuotaLeft:
    """What is left of an account's quota: why nothing may be sent now (or empty), and whether sending may resume."""

    refusal: str
    enough: bool
    left: float
    """Emails that may be sent before the reserve is used; infinite if the account has no limit."""


def quota_left(quota: SendingQuota) -> QuotaLeft:
    """The room that a quota leaves."""
    if not quota.enabled:
        return QuotaLeft(f"Amazon has paused sending ({quota.enforcement})", False, 0)
    if quota.per_day is None:
        return QuotaLeft("", True, float("inf"))
    left = quota.per_day * (1 - RESERVE) - quota.sent
    if left <= 0:
        return QuotaLeft(f"{quota.sent:.0f} of {quota.per_day:.0f} emails in 24 hours", False, 0)
    return QuotaLeft("", left >= quota.per_day * ENOUGH, left)


def next_look(quota: SendingQuota) -> timedelta:
    """The time until the quota could be used up at the full rate, within bounds."""
    seconds = quota_left(quota).left / max(quota.per_second, 0.001)
    return max(SOONEST, min(LATEST, timedelta(seconds=min(seconds, LATEST.total_seconds()))))


async def hold_or_resume(tx: AsyncConnection, quota: SendingQuota, now: datetime) -> None:
    """Open or resume the account's breaker by the quota; a breaker that is open for another cause does not change."""
    judged = quota_left(quota)
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
    """Set the email queue's rate from the account's rate, unless the queue has a rate that was not set here."""
    wanted = round(quota.per_second * SHARE_OF_RATE, 3)
    if wanted <= 0:
        return
    try:
        found = await queue_rates.read(client, contract.QUEUE_EMAIL)
        if found.set_here is not None and (found.reason != REASON or abs(found.set_here - wanted) < 0.01 * wanted):
            return
        await queue_rates.write(client, contract.QUEUE_EMAIL, wanted, REASON)
    except RPCError as error:  # a server version without rates at run time
        log.warning("queue rate not set", queue=contract.QUEUE_EMAIL, error=error.status.name)
    else:
        log.info("queue rate set", queue=contract.QUEUE_EMAIL, per_second=wanted)
