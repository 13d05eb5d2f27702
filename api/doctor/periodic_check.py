"""The doctor in production: the leading relay runs the brief check every few minutes and logs what it finds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog
from temporalio.client import Client

from api.doctor.check import Check
from api.doctor.finding_kinds import KINDS
from api.doctor.findings import Report
from api.doctor.time_limits import TimeLimits
from store.engine.background import periodic_jobs
from store.engine.database import Database
from store.engine.sql import utc_now
from store.operations import doctor

CHORE = "doctor"
TICK = 2.0
"""Seconds between two tests of whether a check is due."""
AGAIN = timedelta(minutes=1)
"""Seconds until the next try, after a check that could not be finished."""
TOLD = 5
"""How many findings of each kind the log names."""

log = structlog.get_logger(__name__)


class Rounds:
    """Repeats the brief check until it is cancelled."""

    def __init__(self, database: Database, client: Client, every: timedelta, limits: TimeLimits | None = None) -> None:
        self._database, self._client = database, client
        self._every, self._limits = every, limits or TimeLimits()
        self._position = 0
        self._untaken: Sequence[str] = ()

    async def run(self) -> None:
        """Check whenever a check is due. While the database or Temporal is down, it waits and tries again."""
        while True:
            try:
                await self.look_if_due()
            except Exception as error:
                log.warning("the doctor could not finish its check", error=type(error).__name__)
            await asyncio.sleep(TICK)

    async def look_if_due(self) -> Report | None:
        """Check, if a check is due. The findings are logged and stored for the metrics."""
        now = utc_now()
        async with self._database.transaction() as tx:
            if not await periodic_jobs.due(tx, CHORE, now):
                return None
            await periodic_jobs.again(tx, CHORE, now + min(self._every, AGAIN))
        check = Check(self._database, self._client, self._limits)
        report = await check.brief(self._position, self._untaken)
        self._position, self._untaken = check.position, check.untaken
        async with self._database.transaction() as tx:
            await doctor.note(tx, report.counts)
            await periodic_jobs.again(tx, CHORE, now + self._every)
        if report.passed_over:
            log.info("doctor: only some signaled runs were examined", told=report.told, passed_over=report.passed_over)
        for kind, count in report.counts.items():
            examples = [finding.workflow_id or finding.id for finding in report.of(kind)[:TOLD]]
            reasons = [finding.detail for finding in report.of(kind)[:TOLD]]
            log.error(f"doctor: {KINDS[kind].title.lower()}", kind=kind, count=count, such_as=examples, why=reasons)
        return report
