"""Let HubSpot's tasks follow what sales answered elsewhere. Every worker does it while it is open.

No run waits for it: an answer counts once it is stored, whether or not HubSpot can be reached then.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

import structlog

from activities.providers.ports import Crm, CrmTaskState
from activities.providers.provider_errors import BROKEN_OFF, Fault, ProviderError, Verdict
from store.engine.background.background_tasks import BackgroundTask
from store.engine.database import Database
from store.engine.sql import utc_now
from store.people.handoffs import task_updates
from store.people.handoffs.task_updates import LEASE, TaskUpdate
from store.published import policies

LOOK = 2.0
"""Seconds between two searches, if the last one found nothing."""
CALL = LEASE - timedelta(seconds=20)
"""How long the calls about the tasks of one search may take: another process may take them after the lease."""
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(minutes=15)
"""The wait after the first failure, which doubles with each further one, and the longest."""
LONGEST_ASKED = timedelta(hours=1)
"""The longest wait that HubSpot may ask for by `Retry-After`."""
PROGRESS: Mapping[str, Literal["begun", "done", "dropped"]] = MappingProxyType(
    {"accepted": "begun", "rejected": "dropped", "expired": "dropped", "recycled": "done", "converted": "done"}
)
"""What a task shows for each status of its handoff."""
LINES: Mapping[str, str] = MappingProxyType(
    {
        "accepted": "Answer: accepted",
        "rejected": "Answer: rejected",
        "expired": "Nobody answered in time",
        "recycled": "The lead was given back",
        "converted": "The lead became a customer",
    }
)

log = structlog.get_logger(__name__)


class HandoffTaskUpdates(BackgroundTask):
    """Looks for answers that HubSpot's tasks do not show yet. Without an outside CRM it does nothing."""

    def __init__(self, db: Database, crm: Crm | None) -> None:
        self._db, self._crm = db, crm

    async def _run(self) -> None:
        while self._crm is not None:
            try:
                busy = await self.update(self._crm)
            except Exception as error:  # the database failed: the lease ends, and it is tried again
                log.warning("tasks of handoffs are not updated", error=type(error).__name__)
                busy = False
            await asyncio.sleep(0 if busy else LOOK)

    async def update(self, crm: Crm, now: datetime | None = None) -> bool:
        """Update the next tasks. False if there were none."""
        async with self._db.transaction() as tx:
            taken = await task_updates.claim(tx, now or utc_now())
            words = (await policies.current(tx)).policy.sales.reject_reasons if taken else {}
        await asyncio.gather(*(self._show(crm, one, words, now) for one in taken))
        return bool(taken)

    async def _show(self, crm: Crm, one: TaskUpdate, words: Mapping[str, str], now: datetime | None) -> None:
        fault: Fault | None = None
        try:
            async with asyncio.timeout(CALL.total_seconds()):
                await crm.update_task(one.task_id, _state(one, words))
        except ProviderError as error:
            fault = error.fault
        except TimeoutError:
            fault = Fault("crm", BROKEN_OFF)
        now = now or utc_now()
        async with self._db.transaction() as tx:
            if fault is None:
                await task_updates.settle(tx, one, now)
            else:
                await task_updates.fail(tx, one, str(fault), _again_at(one, fault, now))
        if fault is not None and fault.verdict is Verdict.GIVE_UP:
            log.warning("a task does not show its handoff's answer", handoff=one.handoff_id, fault=str(fault))


def _state(one: TaskUpdate, words: Mapping[str, str]) -> CrmTaskState:
    why = f" ({words.get(one.reason, one.reason)})" if one.reason else ""
    return CrmTaskState(PROGRESS.get(one.status, "dropped"), LINES.get(one.status, one.status) + why)


def _again_at(one: TaskUpdate, fault: Fault, now: datetime) -> datetime | None:
    """When to try again; None if HubSpot will always refuse it. A random part spreads many retries."""
    if fault.verdict is Verdict.GIVE_UP:
        return None
    doubled: timedelta = FIRST_WAIT * (1 << min(one.attempts - 1, 16))
    wait = min(doubled, LONGEST_WAIT) * random.uniform(0.8, 1.2)
    return now + max(wait, min(fault.retry_after or wait, LONGEST_ASKED))
