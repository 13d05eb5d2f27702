"""`perennial doctor` names what is stuck, repairs it and ends with a status."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.relay.outbox_relay import Relay
from bench.installation.one_process import Installation
from cli.main import app
from settings import get_settings
from tests.api.doctor.doctor_calls import enrolled, is_started, sql, until


async def test_the_command_names_repairs_and_ends_with_a_status(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", installation.servers.database_url)
    monkeypatch.setenv("TEMPORAL_ADDRESS", installation.servers.temporal_address)
    monkeypatch.setenv("TEMPORAL_NAMESPACE", installation.servers.temporal_namespace)
    monkeypatch.setenv("PERENNIAL_DATA", str(tmp_path))

    async def perennial(*words: str) -> Result:
        get_settings.cache_clear()
        try:
            return await asyncio.to_thread(CliRunner().invoke, app, ["doctor", *words])
        finally:
            get_settings.cache_clear()

    async with Relay(installation.database, installation.temporal):
        well = await perennial()
        assert well.exit_code == 0
        assert "✓ Nothing is stuck: 0 live enrolments, 0 live runs, 0 looked into.\n" in well.stdout
        unstarted = await enrolled(installation, "left-behind")
        await until(lambda: is_started(installation, unstarted))
        assert "1 live enrolments (1 too young to be compared), " in (await perennial()).stdout
        forget = "UPDATE enrollment SET started_at = NULL, created_at = now() - interval '1 h' WHERE id = :id"
        await sql(installation, forget, id=unstarted)
        sick = await perennial()
        assert sick.exit_code == 1
        assert "Enrolments that nothing will start: 1" in sick.stdout
        assert f"nurture/sleepy/left-behind {unstarted}" in sick.stdout
        mended = await perennial("--repair", "--json")
        said = mended.stdout  # the relay of this process logs there too
        told = json.loads(said[said.index("\n{\n") if said[0] != "{" else 0 : said.rindex("\n}\n") + 2])
        assert (mended.exit_code, [group["kind"] for group in told["groups"]]) == (0, ["lost-start"])
        assert [one["done"] for one in told["repairs"]] == [True]
        await until(lambda: is_started(installation, unstarted))
    assert (await perennial("--repair", "--lost", "perhaps")).exit_code == 1
