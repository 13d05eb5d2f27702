"""The periodic check looks when its time has come, and its findings become figures."""

from __future__ import annotations

from datetime import timedelta

from api.doctor.periodic_check import CHORE, Rounds
from bench.installation.one_process import Installation
from store.engine.background import periodic_jobs
from store.engine.sql import utc_now
from tests.api.doctor.doctor_calls import HASTY, enrolled, until, workflow_of, working


async def test_a_terminated_run_is_noticed_by_the_rounds_and_shown_as_figures(installation: Installation) -> None:
    rounds = Rounds(installation.database, installation.temporal, timedelta(minutes=5), HASTY)
    async with working(installation):
        one, two = await enrolled(installation, "one"), await enrolled(installation, "two")
        for each in (one, two):
            await installation.until(each, "waiting")
        await workflow_of(installation, "one").terminate()

        async def noticed() -> bool:
            async with installation.database.transaction() as tx:
                await periodic_jobs.again(tx, CHORE, utc_now())
            report = await rounds.look_if_due()
            return report is not None and [(it.kind, it.id) for it in report.findings] == [("run-ended", one)]

        await until(noticed)
        assert await rounds.look_if_due() is None  # not yet due
    figures = (await installation.api.get("/metrics")).text.splitlines()
    assert 'perennial_doctor_findings{kind="run-ended"} 1.0' in figures
    assert 'perennial_doctor_findings{kind="run-lost"} 0.0' in figures
    (age,) = [float(line.split()[1]) for line in figures if line.startswith("perennial_doctor_seconds ")]
    assert 0 <= age < 60
